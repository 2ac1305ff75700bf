// Node-API entry points of progressive layered extraction; see binding_kernels.cpp for the manner.
#include <cstring>

#include "binding_kernels.h"
#include "kernels/ple_sizes.h"

namespace rec {
namespace {

ExtractionShape extraction_shape(Call& call, size_t at) {
  const int32_t* n = sizes(call, at, 11).data;
  ExtractionShape s;
  s.rows = n[0], s.heads = n[1], s.head_experts = n[2], s.shared_experts = n[3];
  s.shared_gate = n[4], s.width = n[5];
  s.logits_row = n[6], s.experts_row = n[7], s.expert_stride = n[8];
  s.mixed_gate = n[9], s.mixed_row = n[10];
  const bool counts = s.heads >= 1 && s.heads <= 32 && s.head_experts >= 1 &&
                      s.head_experts <= 16 && s.shared_experts >= 1 && s.shared_experts <= 64;
  if (!counts) fail("REC_NATIVE_ARGUMENT", "an extraction level's shape is out of range");
  return s;
}

int experts_of(const ExtractionShape& s) { return s.heads * s.head_experts + s.shared_experts; }

int logits_of(const ExtractionShape& s) {
  return s.heads * (s.head_experts + s.shared_experts) + (s.shared_gate ? experts_of(s) : 0);
}

uint64_t expert_span(const ExtractionShape& s) {
  return span(s.rows, s.experts_row, span(experts_of(s), s.expert_stride, s.width));
}

uint64_t mixed_span(const ExtractionShape& s) {
  const int gates = s.heads + (s.shared_gate ? 1 : 0);
  return span(gates, s.mixed_gate, span(s.rows, s.mixed_row, s.width));
}

// set, logits, experts, gates, mixed, shape
napi_value extraction_mix(Call& call) {
  const Kernels& kernels = set_of(call);
  const ExtractionShape s = extraction_shape(call, 5);
  check_row(s.rows, s.mixed_row, s.width);
  const float* logits = floats(call, 1, "logits", span(s.rows, s.logits_row, logits_of(s)));
  const float* experts = floats(call, 2, "experts", expert_span(s));
  float* gates = floats(call, 3, "gates", static_cast<uint64_t>(s.rows) * logits_of(s));
  kernels.extraction_mix(s, logits, experts, gates, floats(call, 4, "mixed", mixed_span(s)));
  return call.undefined();
}

// set, gates, experts, mixedGradient, logitsGradient, expertsGradient, shape
napi_value extraction_mix_backward(Call& call) {
  const Kernels& kernels = set_of(call);
  const ExtractionShape s = extraction_shape(call, 6);
  check_row(s.rows, s.logits_row, logits_of(s));
  check_row(s.rows, s.experts_row, s.width);
  check_row(experts_of(s), s.expert_stride, s.width);
  const float* gates = floats(call, 1, "gates", static_cast<uint64_t>(s.rows) * logits_of(s));
  const float* experts = floats(call, 2, "experts", expert_span(s));
  const float* mixed = floats(call, 3, "mixedGradient", mixed_span(s));
  float* logits = floats(call, 4, "logitsGradient", span(s.rows, s.logits_row, logits_of(s)));
  float* out = floats(call, 5, "expertsGradient", expert_span(s));
  kernels.extraction_mix_backward(s, gates, experts, mixed, logits, out);
  return call.undefined();
}

void check_levels(const PleShape& s) {
  const int64_t last = s.expert_width[s.expert_layers - 1];
  for (int level = 0; level < s.levels; level++) {
    const LevelSizes z = level_sizes(s, level);
    int64_t in = level == 0 ? s.expert_width[0] : last;
    for (int l = level == 0 ? 1 : 0; l < s.expert_layers; l++) {
      check_part(s, s.expert_offset[level][l], z.experts * (in + 1) * padded(s.expert_width[l]));
      in = s.expert_width[l];
    }
    if (level == 0) continue;
    const int64_t columns = s.heads * padded(z.seen) + (z.gates - s.heads) * padded(z.experts);
    check_part(s, s.gate_offset[level], (last + 1) * columns);
  }
  check_towers(s, last);
}

void check_counts(const PleShape& s) {
  const bool counts = s.heads >= 1 && s.heads <= 32 && s.head_experts >= 1 &&
                      s.head_experts <= 16 && s.shared_experts >= 1 && s.shared_experts <= 64 &&
                      s.levels >= 1 && s.levels <= PleShape::levels_max && s.expert_layers >= 1 &&
                      s.expert_layers <= PleShape::layers_max &&
                      s.tower_layers <= PleShape::layers_max;
  check_sizes(s, counts);
}

PleShape ple_shape(Call& call, size_t at) {
  PleShape s;
  constexpr size_t kNumbers = sizeof(PleShape) / sizeof(int32_t);
  std::memcpy(&s, sizes(call, at, kNumbers).data, sizeof(s));
  check_counts(s);
  const int64_t columns = ple_sizes(s).columns;
  check_inputs(s, columns);
  check_levels(s);
  return s;
}

// set, shape, weights, userDense, userVector, itemDense, itemVector, out, workspace,
// [userRows, rows, logits]
napi_value ple_score(Call& call) {
  const Kernels& kernels = set_of(call);
  const PleShape s = ple_shape(call, 1);
  const MmoeInput in = score_input(call, s, ple_workspace(s));
  kernels.ple_score(s, in);
  return call.undefined();
}

}  // namespace
}  // namespace rec

void register_ple(napi_env env, napi_value exports) {
  using namespace rec;
  define<extraction_mix>(env, exports, "extractionMix");
  define<extraction_mix_backward>(env, exports, "extractionMixBackward");
  define<ple_score>(env, exports, "pleScore");
}

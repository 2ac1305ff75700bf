// Whole scoring calls, as kernels_check.h says.
#include "kernels_check.h"

namespace {

struct Widths {
  int inputs[4];
  int heads, experts;
  std::vector<int> expert, tower;
};

// Parts one after another without gaps: reading past one is reading another, past the last a fault.
MmoeShape mmoe_shape(const Widths& widths) {
  MmoeShape s{};
  s.user_dense = widths.inputs[0], s.user_vector = widths.inputs[1];
  s.item_dense = widths.inputs[2], s.item_vector = widths.inputs[3];
  s.heads = widths.heads, s.experts = widths.experts;
  s.expert_layers = static_cast<int>(widths.expert.size());
  s.tower_layers = static_cast<int>(widths.tower.size());
  const auto take = [&s](int floats) { return std::exchange(s.floats, s.floats + floats); };
  s.user_mean = take(s.user_dense), s.user_scale = take(s.user_dense);
  s.item_mean = take(s.item_dense), s.item_scale = take(s.item_dense);
  const int columns = s.experts * padded(widths.expert[0]) + padded(s.heads * (s.experts + 1));
  s.layer_one = take((s.user_dense + s.user_vector + s.item_dense + s.item_vector) * columns);
  s.layer_one_bias = take(columns);
  int in = 0;
  for (int l = 0; l < s.expert_layers; l++) {
    const int out = s.expert_width[l] = widths.expert[l];
    if (l > 0) s.expert_offset[l] = take(s.experts * (in + 1) * padded(out));
    in = out;
  }
  for (int l = 0; l < s.tower_layers; l++) {
    const int out = s.tower_width[l] = widths.tower[l];
    s.tower_offset[l] = take(s.heads * (in + 1) * padded(out));
    in = out;
  }
  s.output_offset = take(s.heads * (padded(in) + 16));
  s.seconds_heads = 1u << (s.heads - 1);
  return s;
}

void check_mmoe() {
  const Widths all[] = {
      {{3, 2, 5, 1}, 1, 1, {7}, {}},
      {{17, 0, 9, 4}, 2, 3, {20, 9}, {5}},
      {{6, 4, 0, 8}, 5, 4, {16, 12, 33}, {18, 4}},
      {{16, 16, 40, 16}, 5, 4, {64, 32}, {16}},
  };
  for (const Widths& widths : all) {
    const MmoeShape s = mmoe_shape(widths);
    for (int rows : {0, 1, 13, 168, 171}) {
      for (bool each : {false, true}) {
        const int users = each ? rows : 1;
        on_all_numbers("mmoe_score", [&](const Kernels& set, Buffers& b) {
          MmoeInput in{};
          float* weights = b.take(s.floats);
          for (int i = 0; i < s.floats; i++) weights[i] *= 0.2f;
          in.weights = weights;
          in.user_dense = b.take(users * s.user_dense);
          in.user_vector = b.take(users * s.user_vector);
          in.user_rows = users;
          in.item_dense = b.take(rows * s.item_dense);
          in.item_vector = b.take(rows * s.item_vector);
          in.rows = rows;
          in.logits = rows % 2 == 0;
          in.out = b.take(rows * s.heads);
          in.workspace = b.scratch(mmoe_workspace(s));
          set.mmoe_score(s, in);
        });
      }
    }
  }
}

struct Groups {
  int heads, head_experts, shared_experts;
  int experts() const { return heads * head_experts + shared_experts; }
  int logits(bool shared_gate) const {
    return heads * (head_experts + shared_experts) + (shared_gate ? experts() : 0);
  }
};

const Groups kGroups[] = {{1, 1, 1}, {5, 1, 2}, {3, 2, 3}, {2, 7, 17}};

void check_extraction() {
  for (const Groups& g : kGroups) {
    for (int width : {1, 16, 19, 64}) {
      const bool shared = width % 2 == 0;
      const int rows = 3, logits = g.logits(shared), gates = g.heads + shared;
      const ExtractionShape s{rows, g.heads, g.head_experts, g.shared_experts, shared, width,
                              logits + 2, g.experts() * (width + 1), width + 1,
                              rows * (width + 2), width + 2};
      const size_t all_logits = 2 * s.logits_row + logits;
      const size_t values = 2 * s.experts_row + (g.experts() - 1) * s.expert_stride + width;
      const size_t mixed = (gates - 1) * s.mixed_gate + 2 * s.mixed_row + width;
      on_all_numbers("extraction_mix", [=](const Kernels& set, Buffers& b) {
        float *z = b.take(all_logits), *x = b.take(values), *out = b.take(rows * logits);
        set.extraction_mix(s, z, x, out, b.take(mixed));
      });
      on_all_numbers("extraction_mix_backward", [=](const Kernels& set, Buffers& b) {
        float *y = b.take(rows * logits), *x = b.take(values), *d = b.take(mixed);
        float* dz = b.take(all_logits);
        set.extraction_mix_backward(s, y, x, d, dz, b.take(values));
      });
    }
  }
}

PleShape ple_shape(const Groups& g, int levels, const Widths& widths) {
  PleShape s{};
  s.user_dense = widths.inputs[0], s.user_vector = widths.inputs[1];
  s.item_dense = widths.inputs[2], s.item_vector = widths.inputs[3];
  s.heads = g.heads, s.head_experts = g.head_experts, s.shared_experts = g.shared_experts;
  s.levels = levels;
  s.expert_layers = static_cast<int>(widths.expert.size());
  s.tower_layers = static_cast<int>(widths.tower.size());
  const auto take = [&s](int floats) { return std::exchange(s.floats, s.floats + floats); };
  s.user_mean = take(s.user_dense), s.user_scale = take(s.user_dense);
  s.item_mean = take(s.item_dense), s.item_scale = take(s.item_dense);
  const int gates = padded(g.logits(levels > 1) + g.heads);
  const int columns = g.experts() * padded(widths.expert[0]) + gates;
  s.layer_one = take((s.user_dense + s.user_vector + s.item_dense + s.item_vector) * columns);
  s.layer_one_bias = take(columns);
  const int last = widths.expert.back();
  for (int level = 0; level < levels; level++) {
    int in = last;
    for (int l = 0; l < s.expert_layers; l++) {
      const int out = s.expert_width[l] = widths.expert[l];
      const bool own = level > 0 || l > 0;
      if (own) s.expert_offset[level][l] = take(g.experts() * (in + 1) * padded(out));
      in = out;
    }
    const int seen = padded(g.head_experts + g.shared_experts);
    const int shared = level < levels - 1 ? padded(g.experts()) : 0;
    if (level > 0) s.gate_offset[level] = take((last + 1) * (g.heads * seen + shared));
  }
  int in = last;
  for (int l = 0; l < s.tower_layers; l++) {
    const int out = s.tower_width[l] = widths.tower[l];
    s.tower_offset[l] = take(s.heads * (in + 1) * padded(out));
    in = out;
  }
  s.output_offset = take(s.heads * (padded(in) + 16));
  s.seconds_heads = 1u << (s.heads - 1);
  return s;
}

void check_ple() {
  const PleShape all[] = {
      ple_shape(kGroups[0], 1, {{3, 2, 5, 1}, 0, 0, {7}, {}}),
      ple_shape(kGroups[2], 2, {{17, 0, 9, 4}, 0, 0, {20, 9}, {5}}),
      ple_shape(kGroups[1], 3, {{6, 4, 0, 8}, 0, 0, {33}, {18, 4}}),
  };
  for (const PleShape& s : all) {
    for (int rows : {0, 1, 13, 168, 171}) {
      const int users = rows == 13 ? rows : 1;
      on_all_numbers("ple_score", [&](const Kernels& set, Buffers& b) {
        MmoeInput in{};
        float* weights = b.take(s.floats);
        for (int i = 0; i < s.floats; i++) weights[i] *= 0.2f;
        in.weights = weights;
        in.user_dense = b.take(users * s.user_dense);
        in.user_vector = b.take(users * s.user_vector);
        in.user_rows = users;
        in.item_dense = b.take(rows * s.item_dense);
        in.item_vector = b.take(rows * s.item_vector);
        in.rows = rows;
        in.logits = rows % 2 == 0;
        in.out = b.take(rows * s.heads);
        in.workspace = b.scratch(ple_workspace(s));
        set.ple_score(s, in);
      });
    }
  }
}

// The packed form behind the parameters ends at a guard page. Over plain numbers it is bf16's
// rounding away from fp32; twice packed is once packed.
void check_packed(const Kernels& set, const Widths& widths, int rows, Numbers kind) {
  const MmoeShape s = mmoe_shape(widths);
  const PackedPlaces places = packed_places(s);
  Buffers b(kind);
  float* slot = b.take(places.floats);
  for (int i = 0; i < s.floats; i++) slot[i] *= 0.2f;
  set.mmoe_pack(s, slot);
  const std::vector<float> once(slot, slot + places.floats);
  set.mmoe_pack(s, slot);
  CHECK(std::memcmp(once.data(), slot, once.size() * sizeof(float)) == 0);
  MmoeInput in{};
  in.weights = slot;
  in.user_dense = b.take(s.user_dense);
  in.user_vector = b.take(s.user_vector);
  in.user_rows = 1;
  in.item_dense = b.take(rows * s.item_dense);
  in.item_vector = b.take(rows * s.item_vector);
  in.rows = rows;
  in.logits = true;
  float *packed = b.take(rows * s.heads), *plain = b.take(rows * s.heads);
  in.workspace = b.scratch(mmoe_workspace(s));
  in.out = packed;
  set.mmoe_score_packed(s, in);
  in.out = plain;
  set.mmoe_score(s, in);
  for (int i = 0; kind == kPlain && i < rows * s.heads; i++) {
    CHECK(std::abs(packed[i] - plain[i]) <= 0.05f * std::max(1.0f, std::abs(plain[i])));
  }
  checks++;
}

void check_packed() {
  const Kernels& set = kernels_of(best_instruction_set());
  if (!set.mmoe_pack) return;
  const Widths all[] = {
      {{3, 2, 5, 1}, 1, 1, {7}, {}},
      {{17, 0, 9, 4}, 2, 3, {20, 9}, {5}},
      {{6, 4, 0, 8}, 5, 4, {16, 12, 33}, {18, 4}},
      {{0, 5, 1, 0}, 3, 4, {33}, {65}},
      {{16, 16, 43, 16}, 5, 4, {64, 32}, {16}},
  };
  for (const Widths& widths : all) {
    for (int rows : {0, 1, 13, 168, 171}) {
      for (Numbers kind : {kPlain, kWild}) check_packed(set, widths, rows, kind);
    }
  }
}

}  // namespace

int main() {
  check_mmoe();
  check_packed();
  check_extraction();
  check_ple();
  CHECK(checks > 200);
  printf("%d calls on %d instruction sets\n", checks, best_instruction_set() + 1);
}

// Node-API entry points of scoring with a mixture of experts.
#include <cstring>

#include "binding_kernels.h"
#include "kernels/mmoe_sizes.h"

namespace rec {
namespace {

void check_layers(const MmoeShape& s) {
  int64_t in = s.expert_width[0];
  for (int l = 1; l < s.expert_layers; l++) {
    check_part(s, s.expert_offset[l], s.experts * (in + 1) * padded(s.expert_width[l]));
    in = s.expert_width[l];
  }
  check_towers(s, in);
}

MmoeShape mmoe_shape(Call& call, size_t at) {
  MmoeShape s;
  constexpr size_t kNumbers = sizeof(MmoeShape) / sizeof(int32_t);
  std::memcpy(&s, sizes(call, at, kNumbers).data, sizeof(s));
  const bool counts = s.heads >= 1 && s.heads <= 32 && s.experts >= 1 && s.experts <= 64 &&
                      s.expert_layers >= 1 && s.expert_layers <= MmoeShape::layers_max &&
                      s.tower_layers <= MmoeShape::layers_max;
  check_sizes(s, counts);
  const int64_t columns = static_cast<int64_t>(s.experts) * padded(s.expert_width[0]) +
                          padded(s.heads * s.experts + s.heads);
  check_inputs(s, columns);
  check_layers(s);
  return s;
}

// set, shape, weights, userDense, userVector, itemDense, itemVector, out, workspace,
// [userRows, rows, logits]
napi_value mmoe_score(Call& call) {
  const Kernels& kernels = set_of(call);
  const MmoeShape s = mmoe_shape(call, 1);
  const MmoeInput in = score_input(call, s, mmoe_workspace(s));
  kernels.mmoe_score(s, in);
  return call.undefined();
}

const Kernels& packing_set_of(Call& call) {
  const Kernels& kernels = set_of(call);
  if (!kernels.mmoe_pack) fail("REC_NATIVE_ARGUMENT", "this instruction set has no packed form");
  return kernels;
}

// Floats of a slot with the packed form.
uint64_t slot_floats(const MmoeShape& s) {
  // The packed form is at most twice the parameters: its places stay below 2^31.
  if (s.floats > 1 << 29) fail("REC_NATIVE_ARGUMENT", "a model too large to be packed");
  return packed_places(s).floats;
}

// set, shape, slot
napi_value mmoe_pack(Call& call) {
  const Kernels& kernels = packing_set_of(call);
  const MmoeShape s = mmoe_shape(call, 1);
  kernels.mmoe_pack(s, floats(call, 2, "slot", slot_floats(s)));
  return call.undefined();
}

// As mmoe_score; weights is a packed slot.
napi_value mmoe_score_packed(Call& call) {
  const Kernels& kernels = packing_set_of(call);
  const MmoeShape s = mmoe_shape(call, 1);
  const MmoeInput in = score_input(call, s, mmoe_workspace(s));
  if (in.user_rows != 1) fail("REC_NATIVE_ARGUMENT", "packed scoring is for one user");
  floats(call, 2, "weights", slot_floats(s));
  kernels.mmoe_score_packed(s, in);
  return call.undefined();
}

}  // namespace
}  // namespace rec

void register_mmoe(napi_env env, napi_value exports) {
  using namespace rec;
  define<mmoe_score>(env, exports, "mmoeScore");
  define<mmoe_pack>(env, exports, "mmoePack");
  define<mmoe_score_packed>(env, exports, "mmoeScorePacked");
}

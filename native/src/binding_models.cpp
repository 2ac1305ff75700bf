// Entry points of the embedding table and the model slots.
#include <cmath>

#include "binding_shared.h"

namespace rec {
namespace {

constexpr size_t kPathBytesMax = 4096;

napi_value embedding_create(Call& call) {
  std::string path;
  if (call.has(0)) path = call.text(0, "path", kPathBytesMax);
  return done(call,
              rec_embedding_table_create(call.has(0) ? path.c_str() : nullptr,
                                         call.u32(1, "rows"), call.u32(2, "dim")),
              "EmbeddingTable");
}

napi_value embedding_gather(Call& call) {
  const size_t count = count_of(call, 2);
  const auto rows = call.rows(1, "rows", count);
  const auto out = call.array<float>(4, "out");
  return done(call,
              rec_embedding_table_gather(call.i32(0, "handle"), rows.data, count,
                                         call.u32(3, "pinVersion"), out.data, out.length),
              "gather");
}

napi_value embedding_gather_working(Call& call) {
  const size_t count = count_of(call, 2);
  const auto rows = call.rows(1, "rows", count);
  const auto out = call.array<float>(3, "out");
  return done(call,
              rec_embedding_table_gather_working(call.i32(0, "handle"), rows.data, count,
                                                 out.data, out.length),
              "gatherWorking");
}

napi_value embedding_initialise(Call& call) {
  const size_t count = count_of(call, 2);
  const auto rows = call.rows(1, "rows", count);
  const auto values = call.array<float>(3, "values");
  return done(call,
              rec_embedding_table_initialise(call.i32(0, "handle"), rows.data, count, values.data,
                                             values.length),
              "initialise");
}

napi_value embedding_apply_adagrad(Call& call) {
  const size_t count = count_of(call, 2);
  const auto rows = call.rows(1, "rows", count);
  const auto gradients = call.array<float>(3, "gradients");
  return done(call,
              rec_embedding_table_apply_adagrad(
                  call.i32(0, "handle"), rows.data, count, gradients.data, gradients.length,
                  static_cast<float>(call.number(4, "learningRate")),
                  static_cast<float>(call.number(5, "epsilon")),
                  static_cast<float>(call.number(6, "decay"))),
              "applyAdagrad");
}

napi_value embedding_publish(Call& call) {
  const size_t count = count_of(call, 2);
  const auto rows = call.rows(1, "rows", count);
  return done(call,
              rec_embedding_table_publish(call.i32(0, "handle"), rows.data, count,
                                          call.u32(3, "version")),
              "publish");
}

napi_value embedding_load(Call& call) {
  const auto data = call.array<uint8_t>(3, "data");
  return done(call,
              rec_embedding_table_load(call.i32(0, "handle"), call.u32(1, "firstRow"),
                                       call.u32(2, "count"), data.data, data.length,
                                       call.u32(4, "published")),
              "load");
}

napi_value slots_create(Call& call) {
  return done(call,
              rec_model_slots_create(call.u32(0, "slots"), call.u32(1, "floats"),
                                     call.u32(2, "readers")),
              "ModelSlots");
}

napi_value slots_pin(Call& call) {
  return done(call, rec_model_slots_pin(call.i32(0, "handle"), call.u32(1, "reader")),
              "pin (this reader holds a pin already)");
}

napi_value slots_unpin(Call& call) {
  return done(call, rec_model_slots_unpin(call.i32(0, "handle"), call.u32(1, "reader")), "unpin");
}

napi_value slots_version(Call& call) {
  return done(call, rec_model_slots_version(call.i32(0, "handle"), call.u32(1, "slot")),
              "version");
}

// The memory of a view must outlive the view: each one holds a reference to the slots.
void drop_view(napi_env, void*, void* hint) {
  registry_release(static_cast<int32_t>(reinterpret_cast<intptr_t>(hint)), kModelSlots);
}

napi_value slots_weights(Call& call) {
  const int32_t handle = call.i32(0, "handle");
  float* weights = rec_model_slots_weights(handle, call.u32(1, "slot"));
  uint32_t shape[4];
  if (weights == nullptr || registry_retain(handle, kModelSlots) == nullptr) {
    fail("REC_NATIVE_ARGUMENT", "weights: wrong handle or slot");
  }
  checked(rec_model_slots_shape(handle, shape), "weights");
  napi_value buffer;
  napi_value view;
  void* hint = reinterpret_cast<void*>(static_cast<intptr_t>(handle));
  if (napi_create_external_arraybuffer(call.env, weights, size_t{4} * shape[1], drop_view, hint,
                                       &buffer) != napi_ok) {
    registry_release(handle, kModelSlots);
    fail("REC_NATIVE_MEMORY", "weights: this runtime allows no external array buffer");
  }
  if (napi_create_typedarray(call.env, napi_float32_array, shape[1], buffer, 0, &view) != napi_ok) {
    fail("REC_NATIVE_MEMORY", "weights: cannot make a view");
  }
  return view;
}

napi_value slots_acquire(Call& call) {
  return done(call, rec_model_slots_acquire(call.i32(0, "handle")), "acquire");
}

napi_value slots_publish(Call& call) {
  return done(call,
              rec_model_slots_publish(call.i32(0, "handle"), call.u32(1, "slot"),
                                      call.u32(2, "version")),
              "publish");
}

// modelSlotsCurrent(handle, out Float64Array(2)): slot, version
napi_value slots_current(Call& call) {
  const auto out = call.array<double>(1, "out", 2);
  int32_t slot = -1;
  uint32_t version = 0;
  checked(rec_model_slots_current(call.i32(0, "handle"), &slot, &version), "current");
  out.data[0] = slot;
  out.data[1] = version;
  return call.undefined();
}

napi_value slots_oldest(Call& call) {
  return done(call, rec_model_slots_oldest_pinned_version(call.i32(0, "handle")),
              "oldestPinnedVersion");
}

}  // namespace

void register_embeddings(napi_env env, napi_value exports) {
  define<embedding_create>(env, exports, "embeddingTableCreate");
  define<shape_of<rec_embedding_table_shape>>(env, exports, "embeddingTableShape");
  define<embedding_gather>(env, exports, "embeddingTableGather");
  define<embedding_gather_working>(env, exports, "embeddingTableGatherWorking");
  define<embedding_initialise>(env, exports, "embeddingTableInitialise");
  define<embedding_apply_adagrad>(env, exports, "embeddingTableApplyAdagrad");
  define<embedding_publish>(env, exports, "embeddingTablePublish");
  define<save_of<rec_embedding_table_save>>(env, exports, "embeddingTableSave");
  define<embedding_load>(env, exports, "embeddingTableLoad");
}

void register_slots(napi_env env, napi_value exports) {
  define<slots_create>(env, exports, "modelSlotsCreate");
  define<shape_of<rec_model_slots_shape>>(env, exports, "modelSlotsShape");
  define<slots_pin>(env, exports, "modelSlotsPin");
  define<slots_unpin>(env, exports, "modelSlotsUnpin");
  define<slots_version>(env, exports, "modelSlotsVersion");
  define<slots_weights>(env, exports, "modelSlotsWeights");
  define<slots_acquire>(env, exports, "modelSlotsAcquire");
  define<slots_publish>(env, exports, "modelSlotsPublish");
  define<slots_current>(env, exports, "modelSlotsCurrent");
  define<slots_oldest>(env, exports, "modelSlotsOldestPinnedVersion");
}

}  // namespace rec

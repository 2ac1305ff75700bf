// What the bindings of the shared tables have in common.
#pragma once
#include "binding.h"
#include "rec.h"

namespace rec {

// Throws what a negative status means; REC_NONE passes.
inline int64_t checked(int64_t status, const char* what) {
  if (status >= REC_NONE) return status;
  const std::string name(what);
  switch (status) {
    case REC_BAD_HANDLE:
      fail("REC_NATIVE_HANDLE", name + ": unknown, released or wrong kind of handle");
    case REC_BAD_ARGUMENT:
      fail("REC_NATIVE_ARGUMENT", name + ": an argument is out of range or an array too short");
    case REC_FULL:
      fail("REC_NATIVE_FULL", name + ": the table is full");
    case REC_NO_MEMORY:
      fail("REC_NATIVE_MEMORY", name + ": cannot reserve memory");
    case REC_IO_FAILED:
      fail("REC_NATIVE_IO", name + ": the system refused (disk full, path or permission)");
    default:
      fail("REC_NATIVE_STATE", name + ": not in this state");
  }
}

inline napi_value done(Call& call, int64_t status, const char* what) {
  return call.result(static_cast<double>(checked(status, what)));
}

// `count` of a call, bounded so that products with it cannot overflow.
inline size_t count_of(Call& call, size_t at) { return call.u32(at, "count"); }

// shape(handle, out Uint32Array(length))
template <int32_t (*shape)(int32_t, uint32_t*), size_t length = 4>
napi_value shape_of(Call& call) {
  const auto out = call.array<uint32_t>(1, "out", length);
  return done(call, shape(call.i32(0, "handle"), out.data), "shape");
}

// Tables whose rows may leave memory: usage(handle, out Float64Array(7)), openFile(handle, path,
// recordsMax).
template <int32_t (*usage)(int32_t, double*)>
napi_value usage_of(Call& call) {
  return done(call, usage(call.i32(0, "handle"), call.array<double>(1, "out", 7).data), "usage");
}

template <int32_t (*open_file)(int32_t, const char*, uint32_t)>
napi_value open_file_of(Call& call) {
  const std::string path = call.text(1, "path", 4096);
  return done(call, open_file(call.i32(0, "handle"), path.c_str(), call.u32(2, "recordsMax")),
              path.c_str());
}

// save(handle, first, count, out)
template <int32_t (*save)(int32_t, uint32_t, uint32_t, uint8_t*, size_t)>
napi_value save_of(Call& call) {
  const auto out = call.array<uint8_t>(3, "out");
  return done(call, save(call.i32(0, "handle"), call.u32(1, "firstRow"), call.u32(2, "count"),
                         out.data, out.length), "save");
}

// Rows of any length: save(handle, first, count, out), load(handle, first, data).
template <int64_t (*save)(int32_t, uint32_t, uint32_t, uint8_t*, size_t)>
napi_value save_packed_of(Call& call) {
  const auto out = call.array<uint8_t>(3, "out");
  return done(call, save(call.i32(0, "handle"), call.u32(1, "firstRow"), call.u32(2, "count"),
                         out.data, out.length), "save");
}

template <int64_t (*load)(int32_t, uint32_t, const uint8_t*, size_t)>
napi_value load_packed_of(Call& call) {
  const auto data = call.array<uint8_t>(2, "data");
  return done(call, load(call.i32(0, "handle"), call.u32(1, "firstRow"), data.data, data.length),
              "load");
}

template <int32_t (*clear)(int32_t)>
napi_value clear_of(Call& call) {
  return done(call, clear(call.i32(0, "handle")), "clear");
}

void register_tables(napi_env env, napi_value exports);
void register_aggregates(napi_env env, napi_value exports);
void register_embeddings(napi_env env, napi_value exports);
void register_slots(napi_env env, napi_value exports);

}  // namespace rec

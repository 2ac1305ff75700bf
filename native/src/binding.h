// Argument checking for the Node-API entry points. A method takes a Call, reads its arguments by
// position with a check each, and calls the C core; whatever is wrong is thrown as a JavaScript
// Error with a `code`, before the core is entered.
//
//   napi_value id_find(rec::Call& call) {
//     auto rows = call.array<int32_t>(1, "rows");
//     rec_id_find(call.i32(0, "handle"), rows.data, rows.length);
//     return call.undefined();
//   }
//   rec::define<id_find>(env, exports, "idFind");
#pragma once
#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>

#include "registry.h"

// Each owner's file defines its own; binding.cpp holds weak empty defaults.
void register_shared(napi_env env, napi_value exports);
void register_kernels(napi_env env, napi_value exports);
void register_mmoe(napi_env env, napi_value exports);
void register_ple(napi_env env, napi_value exports);
void register_graph(napi_env env, napi_value exports);

namespace rec {

struct BindingError {
  const char* code;
  std::string message;
};

// Throws a JavaScript Error with this code out of the current method.
[[noreturn]] void fail(const char* code, const std::string& message);

template <class T>
struct Span {
  T* data;
  size_t length;
};

template <class T> constexpr napi_typedarray_type array_type();
template <> constexpr napi_typedarray_type array_type<int8_t>() { return napi_int8_array; }
template <> constexpr napi_typedarray_type array_type<uint8_t>() { return napi_uint8_array; }
template <> constexpr napi_typedarray_type array_type<int16_t>() { return napi_int16_array; }
template <> constexpr napi_typedarray_type array_type<uint16_t>() { return napi_uint16_array; }
template <> constexpr napi_typedarray_type array_type<int32_t>() { return napi_int32_array; }
template <> constexpr napi_typedarray_type array_type<uint32_t>() { return napi_uint32_array; }
template <> constexpr napi_typedarray_type array_type<float>() { return napi_float32_array; }
template <> constexpr napi_typedarray_type array_type<double>() { return napi_float64_array; }

class Call {
 public:
  static constexpr size_t kArgumentsMax = 24;

  Call(napi_env env, napi_callback_info info);

  napi_env env;
  size_t count = kArgumentsMax;
  napi_value values[kArgumentsMax];

  // False for undefined, null and absent arguments.
  bool has(size_t at);

  // A finite number.
  double number(size_t at, const char* name);
  // A number that may be infinite: a watermark before the first event.
  double bound(size_t at, const char* name);
  // An integer in the type's range; `u64` up to 2^53.
  int32_t i32(size_t at, const char* name);
  uint32_t u32(size_t at, const char* name);
  uint64_t u64(size_t at, const char* name);
  // A string of at most `bytes_max` bytes of UTF-8.
  std::string text(size_t at, const char* name, size_t bytes_max);

  // A typed array of exactly this element type with at least `least` elements.
  template <class T>
  Span<T> array(size_t at, const char* name, uint64_t least = 0) {
    void* data = typed_array(at, name, array_type<T>(), array_type<T>(), least);
    return {static_cast<T*>(data), length_};
  }

  // Rows: an Int32Array or a Uint32Array; noRow (0xffffffff) reads as -1.
  Span<const int32_t> rows(size_t at, const char* name, uint64_t least = 0) {
    void* data = typed_array(at, name, napi_int32_array, napi_uint32_array, least);
    return {static_cast<const int32_t*>(data), length_};
  }

  // The object behind a handle of this kind; throws REC_NATIVE_HANDLE when it is not one.
  template <class T>
  T* object(size_t at, Kind kind) {
    return static_cast<T*>(object_of(i32(at, "handle"), kind));
  }

  napi_value undefined();
  napi_value result(double value);
  napi_value result(const std::string& value);

 private:
  void* typed_array(size_t at, const char* name, napi_typedarray_type type,
                    napi_typedarray_type other, uint64_t least);
  void* object_of(int32_t handle, Kind kind);
  size_t length_ = 0;
};

using Method = napi_value (*)(Call&);

void throw_in_javascript(napi_env env, const BindingError& error);

template <Method method>
napi_value entry(napi_env env, napi_callback_info info) noexcept {
  try {
    Call call(env, info);
    return method(call);
  } catch (const BindingError& error) {
    throw_in_javascript(env, error);
  } catch (const std::exception& error) {
    throw_in_javascript(env, {"REC_NATIVE_FAILED", error.what()});
  }
  return nullptr;
}

void define_function(napi_env env, napi_value exports, const char* name, napi_callback function);

// Exports `method` as `name`.
template <Method method>
void define(napi_env env, napi_value exports, const char* name) {
  define_function(env, exports, name, entry<method>);
}

}  // namespace rec

#include "binding.h"

#include <cmath>

#define REC_WEAK __attribute__((weak))

REC_WEAK void register_shared(napi_env, napi_value) {}
REC_WEAK void register_kernels(napi_env, napi_value) {}
REC_WEAK void register_mmoe(napi_env, napi_value) {}
REC_WEAK void register_ple(napi_env, napi_value) {}
REC_WEAK void register_graph(napi_env, napi_value) {}

namespace rec {

void fail(const char* code, const std::string& message) { throw BindingError{code, message}; }

namespace {

[[noreturn]] void wrong(const char* name, const char* wanted) {
  fail("REC_NATIVE_ARGUMENT", std::string(name) + " must be " + wanted);
}

double integer_in(double value, double low, double high, const char* name) {
  if (value != std::floor(value) || value < low || value > high) {
    wrong(name, "an integer in range");
  }
  return value;
}

}  // namespace

Call::Call(napi_env environment, napi_callback_info info) : env(environment) {
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  if (count > kArgumentsMax) fail("REC_NATIVE_ARGUMENT", "too many arguments");
}

bool Call::has(size_t at) {
  if (at >= count) return false;
  napi_valuetype type;
  if (napi_typeof(env, values[at], &type) != napi_ok) return false;
  return type != napi_undefined && type != napi_null;
}

double Call::bound(size_t at, const char* name) {
  double value = 0;
  if (at >= count || napi_get_value_double(env, values[at], &value) != napi_ok) {
    wrong(name, "a number");
  }
  return value;
}

double Call::number(size_t at, const char* name) {
  const double value = bound(at, name);
  if (!std::isfinite(value)) wrong(name, "a finite number");
  return value;
}

int32_t Call::i32(size_t at, const char* name) {
  return static_cast<int32_t>(integer_in(number(at, name), -2147483648.0, 2147483647.0, name));
}

uint32_t Call::u32(size_t at, const char* name) {
  return static_cast<uint32_t>(integer_in(number(at, name), 0, 4294967295.0, name));
}

uint64_t Call::u64(size_t at, const char* name) {
  return static_cast<uint64_t>(integer_in(number(at, name), 0, 9007199254740992.0, name));
}

std::string Call::text(size_t at, const char* name, size_t bytes_max) {
  size_t length = 0;
  if (at >= count ||
      napi_get_value_string_utf8(env, values[at], nullptr, 0, &length) != napi_ok) {
    wrong(name, "a string");
  }
  if (length > bytes_max) wrong(name, "a shorter string");
  std::string text(length, '\0');
  napi_get_value_string_utf8(env, values[at], text.data(), length + 1, &length);
  return text;
}

void* Call::typed_array(size_t at, const char* name, napi_typedarray_type type,
                        napi_typedarray_type other, uint64_t least) {
  napi_typedarray_type actual;
  void* data = nullptr;
  bool is_array = false;
  if (at >= count || napi_is_typedarray(env, values[at], &is_array) != napi_ok || !is_array ||
      napi_get_typedarray_info(env, values[at], &actual, &length_, &data, nullptr, nullptr) !=
          napi_ok) {
    wrong(name, "a typed array");
  }
  if (actual != type && actual != other) wrong(name, "a typed array of the right element type");
  if (length_ < least) {
    fail("REC_NATIVE_ARGUMENT", std::string(name) + " holds " + std::to_string(length_) +
                                    " elements, needs " + std::to_string(least));
  }
  return data;
}

void* Call::object_of(int32_t handle, Kind kind) {
  void* object = registry_get(handle, kind);
  if (object == nullptr) {
    fail("REC_NATIVE_HANDLE", "unknown, released or wrong kind of handle " +
                                  std::to_string(handle));
  }
  return object;
}

napi_value Call::undefined() {
  napi_value value;
  napi_get_undefined(env, &value);
  return value;
}

napi_value Call::result(double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  return value;
}

napi_value Call::result(const std::string& text) {
  napi_value value;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

void throw_in_javascript(napi_env env, const BindingError& error) {
  napi_throw_error(env, error.code, error.message.c_str());
}

void define_function(napi_env env, napi_value exports, const char* name, napi_callback function) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
  napi_set_named_property(env, exports, name, value);
}

}  // namespace rec

static napi_value initialise(napi_env env, napi_value exports) {
  register_shared(env, exports);
  register_kernels(env, exports);
  register_mmoe(env, exports);
  register_ple(env, exports);
  register_graph(env, exports);
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, initialise)

// Node-API entry points of the kernels.
#include <cmath>
#include <cstring>

#include "binding_kernels.h"

namespace rec {
namespace {

float real(Call& call, size_t at, const char* name) {
  return static_cast<float>(call.number(at, name));
}

// set, a, b, c, bias | null, [rows, columns, depth, aRow, aColumn, bRow, bColumn, cRow, relu, add]
napi_value matrix_product(Call& call) {
  const Kernels& kernels = set_of(call);
  const int32_t* n = sizes(call, 5, 10).data;
  MatrixProduct p{};
  p.m = n[0], p.n = n[1], p.k = n[2];
  p.a_row = n[3], p.a_column = n[4], p.b_row = n[5], p.b_column = n[6], p.c_row = n[7];
  p.relu_columns = n[8];
  p.accumulate = n[9] != 0;
  check_row(p.m, p.c_row, p.n);
  if (p.relu_columns % 16 != 0 && p.relu_columns < p.n) {
    fail("REC_NATIVE_ARGUMENT", "reluColumns is neither a multiple of 16 nor all columns");
  }
  p.a = floats(call, 1, "a", span(p.m, p.a_row, p.k, p.a_column));
  p.b = floats(call, 2, "b", span(p.k, p.b_row, p.n, p.b_column));
  p.c = floats(call, 3, "c", span(p.m, p.c_row, p.n));
  p.bias = call.has(4) ? floats(call, 4, "bias", p.n) : nullptr;
  kernels.matrix_product(p);
  return call.undefined();
}

// set, output, gradient, biasGradient, [rows, columns, outputRow, gradientRow, relu]
napi_value relu_backward(Call& call) {
  const Kernels& kernels = set_of(call);
  const int32_t* n = sizes(call, 4, 5).data;
  check_row(n[0], n[3], n[1]);
  const float* output = floats(call, 1, "output", span(n[0], n[2], n[1]));
  float* gradient = floats(call, 2, "gradient", span(n[0], n[3], n[1]));
  float* bias = floats(call, 3, "biasGradient", n[1]);
  kernels.relu_backward(output, gradient, bias, n[0], n[1], n[2], n[3], n[4] != 0);
  return call.undefined();
}

GateShape gate_shape(Call& call, size_t at) {
  const int32_t* n = sizes(call, at, 9).data;
  GateShape s;
  s.rows = n[0], s.heads = n[1], s.experts = n[2], s.width = n[3];
  s.logits_row = n[4], s.experts_row = n[5], s.expert_stride = n[6];
  s.mixed_head = n[7], s.mixed_row = n[8];
  if (s.experts < 1) fail("REC_NATIVE_ARGUMENT", "a gate needs an expert");
  check_row(s.rows, s.logits_row, static_cast<int64_t>(s.heads) * s.experts);
  check_row(s.experts, s.expert_stride, s.width);
  check_row(s.rows, s.mixed_row, s.width);
  return s;
}

uint64_t expert_span(const GateShape& s) {
  return span(s.rows, s.experts_row, span(s.experts, s.expert_stride, s.width));
}

uint64_t mixed_span(const GateShape& s) {
  return span(s.heads, s.mixed_head, span(s.rows, s.mixed_row, s.width));
}

uint64_t gates_span(const GateShape& s) {
  return static_cast<uint64_t>(s.rows) * s.heads * s.experts;
}

// set, logits, experts, gates, mixed, shape
napi_value gate_mix(Call& call) {
  const Kernels& kernels = set_of(call);
  const GateShape s = gate_shape(call, 5);
  const float* logits = floats(call, 1, "logits", span(s.rows, s.logits_row, s.heads * s.experts));
  const float* experts = floats(call, 2, "experts", expert_span(s));
  float* gates = floats(call, 3, "gates", gates_span(s));
  kernels.gate_mix(s, logits, experts, gates, floats(call, 4, "mixed", mixed_span(s)));
  return call.undefined();
}

// set, gates, experts, mixedGradient, logitsGradient, expertsGradient, shape
napi_value gate_mix_backward(Call& call) {
  const Kernels& kernels = set_of(call);
  const GateShape s = gate_shape(call, 6);
  const float* gates = floats(call, 1, "gates", gates_span(s));
  const float* experts = floats(call, 2, "experts", expert_span(s));
  const float* mixed = floats(call, 3, "mixedGradient", mixed_span(s));
  const uint64_t logits_span = span(s.rows, s.logits_row, s.heads * s.experts);
  float* logits = floats(call, 4, "logitsGradient", logits_span);
  float* out = floats(call, 5, "expertsGradient", expert_span(s));
  kernels.gate_mix_backward(s, gates, experts, mixed, logits, out);
  return call.undefined();
}

// set, query, rows, out, [count, width, row]
napi_value dot_rows(Call& call) {
  const Kernels& kernels = set_of(call);
  const int32_t* n = sizes(call, 4, 3).data;
  const float* query = floats(call, 1, "query", n[1]);
  const float* rows = floats(call, 2, "rows", span(n[0], n[2], n[1]));
  kernels.dot_rows(query, rows, n[0], n[1], n[2], floats(call, 3, "out", n[0]));
  return call.undefined();
}

// set, query, rows, outGradient, queryGradient, rowsGradient, [count, width, row]
napi_value dot_rows_backward(Call& call) {
  const Kernels& kernels = set_of(call);
  const int32_t* n = sizes(call, 6, 3).data;
  check_row(n[0], n[2], n[1]);
  const float* query = floats(call, 1, "query", n[1]);
  const float* rows = floats(call, 2, "rows", span(n[0], n[2], n[1]));
  const float* out_gradient = floats(call, 3, "outGradient", n[0]);
  float* query_gradient = floats(call, 4, "queryGradient", n[1]);
  float* rows_gradient = floats(call, 5, "rowsGradient", span(n[0], n[2], n[1]));
  kernels.dot_rows_backward(query, rows, out_gradient, n[0], n[1], n[2], query_gradient,
                            rows_gradient);
  return call.undefined();
}

// set, values, mean, scale, out, [rows, width, outRow], clip
napi_value normalise(Call& call) {
  const Kernels& kernels = set_of(call);
  const int32_t* n = sizes(call, 5, 3).data;
  check_row(n[0], n[2], n[1]);
  const float* values = floats(call, 1, "values", static_cast<uint64_t>(n[0]) * n[1]);
  const float* mean = floats(call, 2, "mean", n[1]);
  const float* scale = floats(call, 3, "scale", n[1]);
  float* out = floats(call, 4, "out", span(n[0], n[2], n[1]));
  kernels.normalise(values, mean, scale, real(call, 6, "clip"), n[0], n[1], out, n[2]);
  return call.undefined();
}

// set, values, out, count
napi_value sigmoid(Call& call) {
  const Kernels& kernels = set_of(call);
  const uint32_t count = call.u32(3, "count");
  const float* values = floats(call, 1, "values", count);
  kernels.sigmoid(values, static_cast<int>(count), floats(call, 2, "out", count));
  return call.undefined();
}

// set, weights, gradients, first, second, count, step, rate, beta1, beta2, epsilon, scale
napi_value adam(Call& call) {
  const Kernels& kernels = set_of(call);
  const uint32_t count = call.u32(5, "count");
  const double step = call.u32(6, "step"), beta1 = call.number(8, "beta1");
  const double beta2 = call.number(9, "beta2");
  AdamStep s;
  s.learning_rate = real(call, 7, "learningRate");
  s.beta1 = static_cast<float>(beta1), s.beta2 = static_cast<float>(beta2);
  s.rest1 = static_cast<float>(1 - beta1), s.rest2 = static_cast<float>(1 - beta2);
  s.epsilon = real(call, 10, "epsilon");
  s.correction1 = static_cast<float>(1 / (1 - std::pow(beta1, step)));
  s.correction2 = static_cast<float>(1 / (1 - std::pow(beta2, step)));
  s.gradient_scale = real(call, 11, "gradientScale");
  float* weights = floats(call, 1, "weights", count);
  const float* gradients = floats(call, 2, "gradients", count);
  float* first = floats(call, 3, "first", count);
  float* second = floats(call, 4, "second", count);
  kernels.adam(weights, gradients, first, second, static_cast<int>(count), s);
  return call.undefined();
}

// set, weights, gradients, sums, count, rate, epsilon, scale
napi_value adagrad(Call& call) {
  const Kernels& kernels = set_of(call);
  const uint32_t count = call.u32(4, "count");
  float* weights = floats(call, 1, "weights", count);
  const float* gradients = floats(call, 2, "gradients", count);
  float* sums = floats(call, 3, "sums", count);
  kernels.adagrad(weights, gradients, sums, static_cast<int>(count), real(call, 5, "learningRate"),
                  real(call, 6, "epsilon"), real(call, 7, "gradientScale"));
  return call.undefined();
}

// set, values, count
napi_value square_sum(Call& call) {
  const Kernels& kernels = set_of(call);
  const uint32_t count = call.u32(2, "count");
  return call.result(kernels.square_sum(floats(call, 1, "values", count), static_cast<int>(count)));
}

struct Loss {
  const float *values, *labels, *weights;
  int count;
  float *losses, *gradients;
};

// values, labels, weights, losses, gradients | null, count, from `at`
Loss loss_arguments(Call& call, size_t at) {
  const uint32_t count = call.u32(at + 5, "count");
  Loss l;
  l.values = floats(call, at, "values", count);
  l.labels = floats(call, at + 1, "labels", count);
  l.weights = floats(call, at + 2, "weights", count);
  l.losses = floats(call, at + 3, "losses", count);
  l.gradients = call.has(at + 4) ? floats(call, at + 4, "gradients", count) : nullptr;
  l.count = static_cast<int>(count);
  return l;
}

napi_value binary_cross_entropy(Call& call) {
  const Loss l = loss_arguments(call, 0);
  bce(l.values, l.labels, l.weights, l.count, l.losses, l.gradients);
  return call.undefined();
}

// then givenValues, givenGradients | null
napi_value product_cross_entropy(Call& call) {
  const Loss l = loss_arguments(call, 0);
  const float* given = floats(call, 6, "givenValues", l.count);
  float* given_gradients = call.has(7) ? floats(call, 7, "givenGradients", l.count) : nullptr;
  if (!l.gradients != !given_gradients) fail("REC_NATIVE_ARGUMENT", "both gradients, or none");
  ctcvr(given, l.values, l.labels, l.weights, l.count, l.losses, given_gradients, l.gradients);
  return call.undefined();
}

// then beta
napi_value smooth_l1_loss(Call& call) {
  const Loss l = loss_arguments(call, 0);
  smooth_l1(l.values, l.labels, l.weights, l.count, real(call, 6, "beta"), l.losses, l.gradients);
  return call.undefined();
}

// scores, count, k, out
napi_value top_k_of(Call& call) {
  const uint32_t count = call.u32(1, "count"), k = call.u32(2, "k");
  const float* scores = floats(call, 0, "scores", count);
  uint32_t* out = call.array<uint32_t>(3, "out", k < count ? k : count).data;
  return call.result(static_cast<double>(top_k(scores, static_cast<int>(count),
                                               static_cast<int>(k), out)));
}

napi_value best_set(Call& call) { return call.result(static_cast<double>(best_instruction_set())); }

}  // namespace
}  // namespace rec

void register_kernels(napi_env env, napi_value exports) {
  using namespace rec;
  define<matrix_product>(env, exports, "matrixProduct");
  define<relu_backward>(env, exports, "reluBackward");
  define<gate_mix>(env, exports, "gateMix");
  define<gate_mix_backward>(env, exports, "gateMixBackward");
  define<dot_rows>(env, exports, "dotRows");
  define<dot_rows_backward>(env, exports, "dotRowsBackward");
  define<normalise>(env, exports, "normalise");
  define<sigmoid>(env, exports, "sigmoid");
  define<adam>(env, exports, "adam");
  define<adagrad>(env, exports, "adagrad");
  define<square_sum>(env, exports, "squareSum");
  define<binary_cross_entropy>(env, exports, "binaryCrossEntropy");
  define<product_cross_entropy>(env, exports, "productCrossEntropy");
  define<smooth_l1_loss>(env, exports, "smoothL1");
  define<top_k_of>(env, exports, "topK");
  define<best_set>(env, exports, "bestInstructionSet");
}

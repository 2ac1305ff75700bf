// Which instruction set runs, and the kernels that need no vectors.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/mmoe_sizes.h"
#include "kernels/ple_sizes.h"
#include "kernels/table.h"

namespace rec {

int best_instruction_set() {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  const bool bf16 = __builtin_cpu_supports("avx512bf16");
  return avx2 && avx512 ? (bf16 ? 3 : 2) : avx2 ? 1 : 0;
}

const Kernels& kernels_of(int instruction_set) {
  const Kernels* sets[] = {&kernels_base, &kernels_avx2, &kernels_avx512, &kernels_avx512bf16};
  return *sets[instruction_set];
}

int padded(int width) { return (width + 15) / 16 * 16; }

size_t mmoe_workspace(const MmoeShape& s) {
  const MmoeSizes z = mmoe_sizes(s);
  return z.inputs + z.user_sum + z.first + 2 * z.wide + z.gates + kMmoeRows;
}

size_t ple_workspace(const PleShape& s) {
  const PleSizes z = ple_sizes(s);
  return z.inputs + z.columns + z.first + 2 * z.wide + 2 * z.gates + kMmoeRows;
}

namespace {

float logistic(float z) { return 1.0f / (1.0f + std::exp(-z)); }

// log(1 + exp(z)), stable on both sides.
float softplus(float z) { return std::max(z, 0.0f) + std::log1p(std::exp(-std::abs(z))); }

}  // namespace

void bce(const float* logits, const float* labels, const float* weights, int count, float* losses,
         float* gradients) {
  for (int i = 0; i < count; i++) {
    const bool known = !std::isnan(labels[i]);
    losses[i] = known ? weights[i] * (softplus(logits[i]) - labels[i] * logits[i]) : 0;
    if (gradients) gradients[i] = known ? weights[i] * (logistic(logits[i]) - labels[i]) : 0;
  }
}

// ESMM (Ma et al. 2018): p = a b with a = sigmoid(given), b = sigmoid(logit); the loss is the cross
// entropy of p. With u = (p - y) / (1 - p): d given = u (1 - a), d logit = u (1 - b), where 1 - p
// is written (1 - a) + a (1 - b), which loses no digits as p nears 1.
void ctcvr(const float* given_logits, const float* logits, const float* labels,
           const float* weights, int count, float* losses, float* given_gradients,
           float* gradients) {
  for (int i = 0; i < count; i++) {
    const bool known = !std::isnan(labels[i]);
    const float a = logistic(given_logits[i]), b = logistic(logits[i]);
    const float not_a = logistic(-given_logits[i]), not_b = logistic(-logits[i]);
    const float rest = std::max(not_a + a * not_b, 1e-30f);
    const float log_p = -softplus(-given_logits[i]) - softplus(-logits[i]);
    const float y = labels[i];
    losses[i] = known ? weights[i] * -(y * log_p + (1 - y) * std::log(rest)) : 0;
    if (!gradients) continue;
    const float scale = known ? weights[i] * (a * b - y) / rest : 0;
    given_gradients[i] = scale * not_a;
    gradients[i] = scale * not_b;
  }
}

void smooth_l1(const float* values, const float* labels, const float* weights, int count,
               float beta, float* losses, float* gradients) {
  for (int i = 0; i < count; i++) {
    const bool known = !std::isnan(labels[i]);
    const float d = known ? values[i] - labels[i] : 0;
    const float size = std::abs(d);
    const bool inside = size < beta;
    losses[i] = weights[i] * (inside ? 0.5f * d * d / beta : size - 0.5f * beta);
    if (!known) losses[i] = 0;
    if (gradients) gradients[i] = weights[i] * (inside ? d / beta : d > 0 ? 1.0f : -1.0f);
    if (gradients && !known) gradients[i] = 0;
  }
}

int top_k(const float* scores, int count, int k, uint32_t* out) {
  const auto better = [scores](uint32_t a, uint32_t b) {
    const float x = scores[a], y = scores[b];
    const bool finite_x = std::isfinite(x), finite_y = std::isfinite(y);
    if (finite_x != finite_y) return finite_x;
    if (finite_x && x != y) return x > y;
    return a < b;
  };
  const int kept = std::min(count, k);
  if (kept <= 0) return 0;
  // A heap whose top is the worst of the kept: most candidates cost one comparison.
  for (int i = 0; i < kept; i++) out[i] = i;
  std::make_heap(out, out + kept, better);
  for (int i = kept; i < count; i++) {
    if (!better(i, out[0])) continue;
    std::pop_heap(out, out + kept, better);
    out[kept - 1] = i;
    std::push_heap(out, out + kept, better);
  }
  std::sort_heap(out, out + kept, better);
  return kept;
}

}  // namespace rec

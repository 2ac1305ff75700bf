// Fused multiply-adds that wait for nothing: 24 sums in registers, what a core can do at most.
#include <immintrin.h>

#include <cstdint>

namespace {

constexpr int kSums = 24;

__attribute__((target("avx512f"))) float run_avx512(int64_t steps) {
  __m512 sums[kSums];
  for (int i = 0; i < kSums; i++) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(1.0f);
  for (int64_t n = 0; n < steps; n++) {
#pragma GCC unroll 24
    for (int i = 0; i < kSums; i++) sums[i] = _mm512_fmadd_ps(sums[i], a, b);
  }
  for (int i = 1; i < kSums; i++) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  return _mm512_cvtss_f32(sums[0]);
}

// Products of bf16 pairs: twice the operations an instruction.
__attribute__((target("avx512f,avx512bf16"))) float run_bf16(int64_t steps) {
  __m512 sums[kSums];
  for (int i = 0; i < kSums; i++) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  // A half and nothing in each pair: the sums stay where they are.
  __m512bh a = (__m512bh)_mm512_set1_epi32(0x3f00), b = (__m512bh)_mm512_set1_epi32(0x3f80 << 16);
  asm volatile("" : "+v"(a), "+v"(b));
  for (int64_t n = 0; n < steps; n++) {
#pragma GCC unroll 24
    for (int i = 0; i < kSums; i++) sums[i] = _mm512_dpbf16_ps(sums[i], a, b);
  }
  for (int i = 1; i < kSums; i++) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  return _mm512_cvtss_f32(sums[0]);
}

// Sixteen registers: twelve sums leave room for the constants.
constexpr int kFewSums = 12;

__attribute__((target("avx2,fma"))) float run_avx2(int64_t steps) {
  __m256 sums[kFewSums];
  for (int i = 0; i < kFewSums; i++) sums[i] = _mm256_set1_ps(static_cast<float>(i));
  const __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(1.0f);
  for (int64_t n = 0; n < steps; n++) {
#pragma GCC unroll 12
    for (int i = 0; i < kFewSums; i++) sums[i] = _mm256_fmadd_ps(sums[i], a, b);
  }
  for (int i = 1; i < kFewSums; i++) sums[0] = _mm256_add_ps(sums[0], sums[i]);
  return _mm256_cvtss_f32(sums[0]);
}

float run_base(int64_t steps) {
  __m128 sums[kFewSums];
  for (int i = 0; i < kFewSums; i++) sums[i] = _mm_set1_ps(static_cast<float>(i));
  const __m128 a = _mm_set1_ps(0.5f), b = _mm_set1_ps(1.0f);
  for (int64_t n = 0; n < steps; n++) {
#pragma GCC unroll 12
    for (int i = 0; i < kFewSums; i++) sums[i] = _mm_add_ps(_mm_mul_ps(sums[i], a), b);
  }
  for (int i = 1; i < kFewSums; i++) sums[0] = _mm_add_ps(sums[0], sums[i]);
  return _mm_cvtss_f32(sums[0]);
}

}  // namespace

// Set 0 base, 1 AVX2, 2 AVX-512, 3 its bf16. The result depends on every step.
extern "C" float fma_peak_run(int32_t set, int32_t steps) {
  if (set == 3) return run_bf16(steps);
  return set == 2 ? run_avx512(steps) : set == 1 ? run_avx2(steps) : run_base(steps);
}

// Floating-point operations of one step.
extern "C" int32_t fma_peak_operations(int32_t set) {
  if (set == 3) return kSums * 16 * 4;
  return set == 2 ? kSums * 16 * 2 : set == 1 ? kFewSums * 8 * 2 : kFewSums * 4 * 2;
}

#pragma once

#include <immintrin.h>

#include <cstddef>

namespace rec {

/*
 * Inner product of two f32 rows, the one thing that building and searching a graph do. The widest
 * path that the processor has is chosen once. Paths differ in the order of sums only.
 */
inline float graph_dot_base(const float* a, const float* b, size_t n) {
  __m128 sum = _mm_setzero_ps();
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    sum = _mm_add_ps(sum, _mm_mul_ps(_mm_loadu_ps(a + i), _mm_loadu_ps(b + i)));
  }
  float lanes[4];
  _mm_storeu_ps(lanes, sum);
  float total = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
  for (; i < n; i++) total += a[i] * b[i];
  return total;
}

__attribute__((target("avx2,fma"))) inline float graph_dot_avx2(const float* a, const float* b,
                                                               size_t n) {
  __m256 one = _mm256_setzero_ps();
  __m256 two = _mm256_setzero_ps();
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    one = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), one);
    two = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), two);
  }
  one = _mm256_add_ps(one, two);
  __m128 sum = _mm_add_ps(_mm256_castps256_ps128(one), _mm256_extractf128_ps(one, 1));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  sum = _mm_add_ss(sum, _mm_movehdup_ps(sum));
  float total = _mm_cvtss_f32(sum);
  for (; i < n; i++) total += a[i] * b[i];
  return total;
}

using GraphDot = float (*)(const float*, const float*, size_t);

inline GraphDot graph_dot_pick() {
  __builtin_cpu_init();
  const bool wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return wide ? graph_dot_avx2 : graph_dot_base;
}

inline const GraphDot graph_dot = graph_dot_pick();

}  // namespace rec

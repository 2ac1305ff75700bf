#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

namespace rec {

/*
 * Vectors in a byte a value, for finding the way through a graph: a quarter of the memory traffic,
 * which is what a search waits for. What was found is scored again with the f32 values.
 * One scale for all vectors (they are normalised); the query keeps 14 bits.
 */
struct GraphCodes {
  size_t stride = 0;  // dim, padded with zeros to whole blocks

  static constexpr size_t kBlock = 32;

  const int8_t* at(uint32_t node) const { return values_.get() + size_t{node} * stride; }

  void encode(const float* vectors, size_t count, size_t dim) {
    stride = (dim + kBlock - 1) / kBlock * kBlock;
    // From a cache line's start: a vector of 64 values is then one line.
    const size_t bytes = (count * stride + 63) / 64 * 64;
    values_.reset(static_cast<int8_t*>(std::aligned_alloc(64, bytes)));
    if (!values_) throw std::bad_alloc();
    std::memset(values_.get(), 0, bytes);
    float most = 0;
    for (size_t i = 0; i < count * dim; i++) most = std::max(most, std::fabs(vectors[i]));
    if (most == 0) return;
    for (size_t n = 0; n < count; n++) {
      for (size_t d = 0; d < dim; d++) {
        const float scaled = vectors[n * dim + d] / most * 127.0f;
        values_.get()[n * stride + d] = static_cast<int8_t>(std::lround(scaled));
      }
    }
  }

  /** Writes the query's `stride` values, such that no sum of products overflows 31 bits. */
  void encode_query(const float* query, size_t dim, std::vector<int16_t>* out) const {
    out->assign(stride, 0);
    float most = 0;
    for (size_t d = 0; d < dim; d++) most = std::max(most, std::fabs(query[d]));
    if (!(most > 0) || !std::isfinite(most)) return;
    const float bound = std::min(8191.0f, std::floor(2147483647.0f / 127.0f / stride) - 1);
    for (size_t d = 0; d < dim; d++) {
      const float scaled = query[d] / most * bound;
      (*out)[d] = std::isfinite(scaled) ? static_cast<int16_t>(std::lround(scaled)) : int16_t{0};
    }
  }

 private:
  struct Free {
    void operator()(int8_t* values) const { std::free(values); }
  };
  std::unique_ptr<int8_t[], Free> values_;
};

inline int32_t code_dot_base(const int16_t* query, const int8_t* codes, size_t stride) {
  int32_t sum = 0;
  for (size_t i = 0; i < stride; i++) sum += int32_t{query[i]} * codes[i];
  return sum;
}

__attribute__((target("avx2"))) inline int32_t code_dot_avx2(const int16_t* query,
                                                            const int8_t* codes, size_t stride) {
  __m256i one = _mm256_setzero_si256();
  __m256i two = _mm256_setzero_si256();
  for (size_t i = 0; i < stride; i += GraphCodes::kBlock) {
    const auto* q = reinterpret_cast<const __m256i*>(query + i);
    const auto* c = reinterpret_cast<const __m128i*>(codes + i);
    const __m256i low = _mm256_cvtepi8_epi16(_mm_loadu_si128(c));
    const __m256i high = _mm256_cvtepi8_epi16(_mm_loadu_si128(c + 1));
    one = _mm256_add_epi32(one, _mm256_madd_epi16(_mm256_loadu_si256(q), low));
    two = _mm256_add_epi32(two, _mm256_madd_epi16(_mm256_loadu_si256(q + 1), high));
  }
  one = _mm256_add_epi32(one, two);
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(one), _mm256_extracti128_si256(one, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
  return _mm_cvtsi128_si32(sum);
}

using CodeDot = int32_t (*)(const int16_t*, const int8_t*, size_t);

inline CodeDot code_dot_pick() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") ? code_dot_avx2 : code_dot_base;
}

inline const CodeDot code_dot = code_dot_pick();

}  // namespace rec

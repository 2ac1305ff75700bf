// What bf16 adds to the vectors of AVX-512: rounding to nearest even, products of pairs.
#include "simd_avx512.h"
inline __m256i rounded(V x) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x.v)); }
inline void store(uint16_t* p, V x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), rounded(x));
}
inline void store_part(uint16_t* p, V x, int n) {
  _mm256_mask_storeu_epi16(p, part_mask(n), rounded(x));
}
// Two vectors one after the other.
inline void store(uint16_t* p, V first, V second) {
  _mm512_storeu_si512(p, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second.v, first.v)));
}

// Vectors of AVX-512: 16 floats.
inline constexpr int kWidth = 16;
inline constexpr int kRows = 12;
struct V {
  __m512 v;
};
inline __mmask16 part_mask(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
inline V load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void store(float* p, V x) { _mm512_storeu_ps(p, x.v); }
inline V load_part(const float* p, int n) { return {_mm512_maskz_loadu_ps(part_mask(n), p)}; }
inline void store_part(float* p, V x, int n) { _mm512_mask_storeu_ps(p, part_mask(n), x.v); }
inline V all(float x) { return {_mm512_set1_ps(x)}; }
inline V zero() { return {_mm512_setzero_ps()}; }
inline V operator+(V a, V b) { return {_mm512_add_ps(a.v, b.v)}; }
inline V operator-(V a, V b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline V operator*(V a, V b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline V operator/(V a, V b) { return {_mm512_div_ps(a.v, b.v)}; }
inline V fma(V a, V b, V c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline V max(V bound, V x) { return {_mm512_max_ps(bound.v, x.v)}; }
inline V min(V bound, V x) { return {_mm512_min_ps(bound.v, x.v)}; }
inline V sqrt(V a) { return {_mm512_sqrt_ps(a.v)}; }
inline V where_positive(V y, V x) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(y.v, _mm512_setzero_ps(), _CMP_GT_OQ), x.v)};
}
inline V round_nearest(V a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline V power_of_two(V n) {
  __m512i bits =
      _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127)), 23);
  return {_mm512_castsi512_ps(bits)};
}
inline float sum(V a) { return _mm512_reduce_add_ps(a.v); }

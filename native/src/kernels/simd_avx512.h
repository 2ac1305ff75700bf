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
inline V sum_of_four(V a) {
  const __m512 t = _mm512_add_ps(a.v, _mm512_permute_ps(a.v, _MM_SHUFFLE(2, 3, 0, 1)));
  return {_mm512_add_ps(t, _mm512_permute_ps(t, _MM_SHUFFLE(1, 0, 3, 2)))};
}
inline V top_of_four(V a) {
  const __m512 t = _mm512_max_ps(a.v, _mm512_permute_ps(a.v, _MM_SHUFFLE(2, 3, 0, 1)));
  return {_mm512_max_ps(t, _mm512_permute_ps(t, _MM_SHUFFLE(1, 0, 3, 2)))};
}
// Sum of row i in place i, over kWidth rows: quarters first, then within each quarter.
inline V sums_of(const V* rows) {
  __m512 t[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    const __m512 a = rows[i].v, b = rows[i + 8].v;
    t[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const __m512 a = t[i], b = t[i + 4];
    t[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
  }
  const __m512 a = _mm512_add_ps(_mm512_unpacklo_ps(t[0], t[1]), _mm512_unpackhi_ps(t[0], t[1]));
  const __m512 b = _mm512_add_ps(_mm512_unpacklo_ps(t[2], t[3]), _mm512_unpackhi_ps(t[2], t[3]));
  const __m512 c = _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
  return {_mm512_shuffle_f32x4(c, c, 0xd8)};
}

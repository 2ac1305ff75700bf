// Vectors of the x86-64 baseline (SSE2): 4 floats.
inline constexpr int kWidth = 4;
inline constexpr int kRows = 4;  // rows of the register block of a matrix product
struct V {
  __m128 v;
};
inline V load(const float* p) { return {_mm_loadu_ps(p)}; }
inline void store(float* p, V x) { _mm_storeu_ps(p, x.v); }
inline V load_part(const float* p, int n) {
  alignas(16) float t[4] = {0, 0, 0, 0};
  for (int i = 0; i < n; i++) t[i] = p[i];
  return {_mm_load_ps(t)};
}
inline void store_part(float* p, V x, int n) {
  alignas(16) float t[4];
  _mm_store_ps(t, x.v);
  for (int i = 0; i < n; i++) p[i] = t[i];
}
inline V all(float x) { return {_mm_set1_ps(x)}; }
inline V zero() { return {_mm_setzero_ps()}; }
inline V operator+(V a, V b) { return {_mm_add_ps(a.v, b.v)}; }
inline V operator-(V a, V b) { return {_mm_sub_ps(a.v, b.v)}; }
inline V operator*(V a, V b) { return {_mm_mul_ps(a.v, b.v)}; }
inline V operator/(V a, V b) { return {_mm_div_ps(a.v, b.v)}; }
inline V fma(V a, V b, V c) { return {_mm_add_ps(_mm_mul_ps(a.v, b.v), c.v)}; }
// Both return the second argument when either is NaN: put the bound first and NaN passes.
inline V max(V bound, V x) { return {_mm_max_ps(bound.v, x.v)}; }
inline V min(V bound, V x) { return {_mm_min_ps(bound.v, x.v)}; }
inline V sqrt(V a) { return {_mm_sqrt_ps(a.v)}; }
// x where y > 0, else 0.
inline V where_positive(V y, V x) {
  return {_mm_and_ps(_mm_cmpgt_ps(y.v, _mm_setzero_ps()), x.v)};
}
inline V round_nearest(V a) { return {_mm_cvtepi32_ps(_mm_cvtps_epi32(a.v))}; }
// 2^n for whole n in [-126, 127].
inline V power_of_two(V n) {
  __m128i bits = _mm_slli_epi32(_mm_add_epi32(_mm_cvtps_epi32(n.v), _mm_set1_epi32(127)), 23);
  return {_mm_castsi128_ps(bits)};
}
inline float sum(V a) {
  __m128 t = _mm_add_ps(a.v, _mm_movehl_ps(a.v, a.v));
  return _mm_cvtss_f32(_mm_add_ss(t, _mm_shuffle_ps(t, t, 1)));
}
// Over each four neighbours, which hold the result in every place.
inline __m128 turned(__m128 a) { return _mm_shuffle_ps(a, a, _MM_SHUFFLE(1, 0, 3, 2)); }
inline __m128 swapped(__m128 a) { return _mm_shuffle_ps(a, a, _MM_SHUFFLE(2, 3, 0, 1)); }
inline V sum_of_four(V a) {
  const __m128 t = _mm_add_ps(a.v, swapped(a.v));
  return {_mm_add_ps(t, turned(t))};
}
inline V top_of_four(V a) {
  const __m128 t = _mm_max_ps(a.v, swapped(a.v));
  return {_mm_max_ps(t, turned(t))};
}
// Sum of row i in place i, over kWidth rows.
inline V sums_of(const V* rows) {
  const __m128 a = _mm_add_ps(_mm_unpacklo_ps(rows[0].v, rows[1].v),
                              _mm_unpackhi_ps(rows[0].v, rows[1].v));
  const __m128 b = _mm_add_ps(_mm_unpacklo_ps(rows[2].v, rows[3].v),
                              _mm_unpackhi_ps(rows[2].v, rows[3].v));
  return {_mm_add_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a))};
}

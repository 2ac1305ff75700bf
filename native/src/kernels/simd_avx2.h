// Vectors of AVX2 with FMA: 8 floats.
inline constexpr int kWidth = 8;
inline constexpr int kRows = 6;
struct V {
  __m256 v;
};
alignas(32) inline constexpr int kMaskTable[16] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                   0,  0,  0,  0,  0,  0,  0,  0};
inline __m256i part_mask(int n) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMaskTable + 8 - n));
}
inline V load(const float* p) { return {_mm256_loadu_ps(p)}; }
inline void store(float* p, V x) { _mm256_storeu_ps(p, x.v); }
inline V load_part(const float* p, int n) { return {_mm256_maskload_ps(p, part_mask(n))}; }
inline void store_part(float* p, V x, int n) { _mm256_maskstore_ps(p, part_mask(n), x.v); }
inline V all(float x) { return {_mm256_set1_ps(x)}; }
inline V zero() { return {_mm256_setzero_ps()}; }
inline V operator+(V a, V b) { return {_mm256_add_ps(a.v, b.v)}; }
inline V operator-(V a, V b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline V operator*(V a, V b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline V operator/(V a, V b) { return {_mm256_div_ps(a.v, b.v)}; }
inline V fma(V a, V b, V c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline V max(V bound, V x) { return {_mm256_max_ps(bound.v, x.v)}; }
inline V min(V bound, V x) { return {_mm256_min_ps(bound.v, x.v)}; }
inline V sqrt(V a) { return {_mm256_sqrt_ps(a.v)}; }
inline V where_positive(V y, V x) {
  return {_mm256_and_ps(_mm256_cmp_ps(y.v, _mm256_setzero_ps(), _CMP_GT_OQ), x.v)};
}
inline V round_nearest(V a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline V power_of_two(V n) {
  __m256i bits =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127)), 23);
  return {_mm256_castsi256_ps(bits)};
}
inline float sum(V a) {
  __m128 t = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  t = _mm_add_ps(t, _mm_movehl_ps(t, t));
  return _mm_cvtss_f32(_mm_add_ss(t, _mm_shuffle_ps(t, t, 1)));
}
inline V sum_of_four(V a) {
  const __m256 t = _mm256_add_ps(a.v, _mm256_permute_ps(a.v, _MM_SHUFFLE(2, 3, 0, 1)));
  return {_mm256_add_ps(t, _mm256_permute_ps(t, _MM_SHUFFLE(1, 0, 3, 2)))};
}
inline V top_of_four(V a) {
  const __m256 t = _mm256_max_ps(a.v, _mm256_permute_ps(a.v, _MM_SHUFFLE(2, 3, 0, 1)));
  return {_mm256_max_ps(t, _mm256_permute_ps(t, _MM_SHUFFLE(1, 0, 3, 2)))};
}
// Sum of row i in place i, over kWidth rows: halves first, then within each half.
inline V sums_of(const V* rows) {
  __m256 t[4];
  for (int i = 0; i < 4; i++) {
    const __m256 a = rows[i].v, b = rows[i + 4].v;
    t[i] = _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
  }
  const __m256 a = _mm256_add_ps(_mm256_unpacklo_ps(t[0], t[1]), _mm256_unpackhi_ps(t[0], t[1]));
  const __m256 b = _mm256_add_ps(_mm256_unpacklo_ps(t[2], t[3]), _mm256_unpackhi_ps(t[2], t[3]));
  return {_mm256_add_ps(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xee))};
}

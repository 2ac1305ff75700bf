// out[i] = query . rows[i], kWidth rows at a time: their sums over lanes share the additions.
inline void dot_rows(const float* query, const float* rows, int count, int width, ptrdiff_t row,
                     float* out) {
  for (int i = 0; i < count; i += kWidth) {
    const int n = count - i < kWidth ? count - i : kWidth;
    V totals[kWidth];
#pragma GCC unroll 16
    for (int r = 0; r < kWidth; r++) totals[r] = zero();
    for (int j = 0; j < width; j += kWidth) {
      const int part = width - j < kWidth ? width - j : kWidth;
      const bool whole = part == kWidth;
      const V q = whole ? load(query + j) : load_part(query + j, part);
#pragma GCC unroll 16
      for (int r = 0; r < kWidth; r++) {
        // Past the end the last row is read again: no branch, and no row's sum depends on it.
        const float* x = rows + (i + (r < n ? r : n - 1)) * row + j;
        totals[r] = fma(q, whole ? load(x) : load_part(x, part), totals[r]);
      }
    }
    if (n == kWidth) store(out + i, sums_of(totals));
    else store_part(out + i, sums_of(totals), n);
  }
}

// rows_gradient[i] = out_gradient[i] * query; query_gradient = sum of out_gradient[i] * rows[i].
inline void dot_rows_backward(const float* query, const float* rows, const float* out_gradient,
                              int count, int width, ptrdiff_t row, float* query_gradient,
                              float* rows_gradient) {
  for (int j = 0; j < width; j += kWidth) {
    const int n = width - j < kWidth ? width - j : kWidth;
    const bool whole = n == kWidth;
    const V q = whole ? load(query + j) : load_part(query + j, n);
    V total = zero();
    for (int i = 0; i < count; i++) {
      const V d = all(out_gradient[i]);
      const float* x = rows + i * row + j;
      total = fma(d, whole ? load(x) : load_part(x, n), total);
      float* dx = rows_gradient + i * row + j;
      if (whole) store(dx, d * q);
      else store_part(dx, d * q, n);
    }
    if (whole) store(query_gradient + j, total);
    else store_part(query_gradient + j, total, n);
  }
}

// out = clip((values - mean) * scale); values is dense, rows x width. Out is float or bf16.
template <class Out>
inline void normalise(const float* values, const float* mean, const float* scale, float clip,
                      int rows, int width, Out* out, ptrdiff_t out_row) {
  const V low = all(-clip), high = all(clip);
  for (int r = 0; r < rows; r++) {
    const float* x = values + static_cast<ptrdiff_t>(r) * width;
    for (int j = 0; j < width; j += kWidth) {
      const int n = width - j < kWidth ? width - j : kWidth;
      if (n == kWidth) {
        const V y = (load(x + j) - load(mean + j)) * load(scale + j);
        store(out + r * out_row + j, min(high, max(low, y)));
      } else {
        const V y = (load_part(x + j, n) - load_part(mean + j, n)) * load_part(scale + j, n);
        store_part(out + r * out_row + j, min(high, max(low, y)), n);
      }
    }
  }
}

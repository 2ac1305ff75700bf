// out[i] = query . rows[i]
inline void dot_rows(const float* query, const float* rows, int count, int width, ptrdiff_t row,
                     float* out) {
  for (int i = 0; i < count; i++) out[i] = dot(query, rows + i * row, width);
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

// out = clip((values - mean) * scale); values is dense, rows x width.
inline void normalise(const float* values, const float* mean, const float* scale, float clip,
                      int rows, int width, float* out, ptrdiff_t out_row) {
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

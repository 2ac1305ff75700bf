// Matrix product on register blocks of kRows x 2 vectors. A panel of B (kDepth x 2 vectors) is
// copied to the stack once and serves all rows of A from the first-level cache; every element is
// one chain of fused multiply-adds over k, so a row's sum is the same whatever stands beside it.
inline constexpr int kPanel = 2 * kWidth;
inline constexpr int kDepth = 256;
// Below so many rows the copy of B costs more than it saves.
inline constexpr int kDirectRows = 4;

struct Block {
  const float* a;
  ptrdiff_t a_row, a_column;
  const float* b;
  ptrdiff_t b_row;
  float* c;
  ptrdiff_t c_row;
  const float* bias;
  int k, columns, relu_columns;
  bool load_c, relu;
};

template <int N>
inline void finish_row(const Block& block, int row, V* sums) {
  float* c = block.c + row * block.c_row;
  for (int p = 0; p < N; p++) {
    const int from = p * kWidth;
    const int n = block.columns - from < kWidth ? block.columns - from : kWidth;
    if (n <= 0) return;
    const bool whole = n == kWidth;
    V x = sums[p];
    if (block.load_c) x = x + (whole ? load(c + from) : load_part(c + from, n));
    if (block.bias) x = x + (whole ? load(block.bias + from) : load_part(block.bias + from, n));
    if (block.relu && from < block.relu_columns) {
      // ReLU columns end on a vector boundary or at the matrix's edge.
      x = max(zero(), x);
    }
    if (whole) store(c + from, x);
    else store_part(c + from, x, n);
  }
}

// R rows by N vectors of columns.
template <int R, int N>
inline void multiply_block(const Block& block) {
  V sums[R][N];
#pragma GCC unroll 16
  for (int i = 0; i < R; i++) {
    for (int p = 0; p < N; p++) sums[i][p] = zero();
  }
  // A pointer for every third row keeps the addresses in registers: p, p + s, p + 2s.
  constexpr int kPointers = (R + 2) / 3;
  const float* a[kPointers];
#pragma GCC unroll 16
  for (int i = 0; i < kPointers; i++) a[i] = block.a + 3 * i * block.a_row;
  const float* b = block.b;
  const ptrdiff_t a_row = block.a_row, a_column = block.a_column, b_row = block.b_row;
  for (int k = 0; k < block.k; k++) {
    V columns[N];
    for (int p = 0; p < N; p++) columns[p] = load(b + p * kWidth);
#pragma GCC unroll 16
    for (int i = 0; i < R; i++) {
      const V x = all(a[i / 3][(i % 3) * a_row]);
      for (int p = 0; p < N; p++) sums[i][p] = fma(x, columns[p], sums[i][p]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kPointers; i++) a[i] += a_column;
    b += b_row;
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; i++) finish_row<N>(block, i, sums[i]);
}

template <int R, int N>
inline void multiply_rest(const Block& block, int rows) {
  if constexpr (R > 0) {
    if (rows == R) multiply_block<R, N>(block);
    else multiply_rest<R - 1, N>(block, rows);
  }
}

inline void pack_panel(const MatrixProduct& p, int k0, int depth, int j0, int columns, float* out) {
  if (columns < kPanel) std::memset(out, 0, sizeof(float) * depth * kPanel);
  const float* b = p.b + k0 * p.b_row + j0 * p.b_column;
  if (p.b_column == 1) {
    for (int k = 0; k < depth; k++) {
      std::memcpy(out + k * kPanel, b + k * p.b_row, sizeof(float) * columns);
    }
    return;
  }
  for (int j = 0; j < columns; j++) {
    const float* from = b + j * p.b_column;
    for (int k = 0; k < depth; k++) out[k * kPanel + j] = from[k * p.b_row];
  }
}

template <int N>
inline void multiply_rows(const MatrixProduct& p, Block block) {
  int i = 0;
  for (; i + kRows <= p.m; i += kRows) {
    multiply_block<kRows, N>(block);
    block.a += kRows * block.a_row;
    block.c += kRows * block.c_row;
  }
  multiply_rest<kRows - 1, N>(block, p.m - i);
}

inline void matrix_product(const MatrixProduct& p) {
  alignas(64) float panel[kDepth * kPanel];
  for (int k0 = 0; k0 == 0 || k0 < p.k; k0 += kDepth) {
    const int depth = p.k - k0 < kDepth ? p.k - k0 : kDepth;
    const bool first = k0 == 0, last = k0 + kDepth >= p.k;
    for (int j0 = 0; j0 < p.n; j0 += kPanel) {
      const int columns = p.n - j0 < kPanel ? p.n - j0 : kPanel;
      Block block;
      block.a = p.a + k0 * p.a_column;
      block.a_row = p.a_row;
      block.a_column = p.a_column;
      block.b = panel;
      block.b_row = kPanel;
      if (p.m <= kDirectRows && columns == kPanel && p.b_column == 1) {
        block.b = p.b + k0 * p.b_row + j0;
        block.b_row = p.b_row;
      } else {
        pack_panel(p, k0, depth, j0, columns, panel);
      }
      block.c = p.c + j0;
      block.c_row = p.c_row;
      block.bias = last && p.bias ? p.bias + j0 : nullptr;
      block.k = depth;
      block.columns = columns;
      block.relu_columns = p.relu_columns - j0;
      block.load_c = !first || p.accumulate;
      block.relu = last;
      // Half a panel of columns (a narrow tower) is one vector: the other would be all zeros.
      if (columns > kWidth) multiply_rows<2>(p, block);
      else multiply_rows<1>(p, block);
    }
  }
}

// gradient *= output > 0 (where relu), bias_gradient[j] = sum over rows of gradient.
inline void relu_backward(const float* output, float* gradient, float* bias_gradient, int rows,
                          int columns, ptrdiff_t output_row, ptrdiff_t gradient_row, bool relu) {
  for (int j = 0; j < columns; j += kWidth) {
    const int n = columns - j < kWidth ? columns - j : kWidth;
    const bool whole = n == kWidth;
    V total = zero();
    for (int r = 0; r < rows; r++) {
      float* g = gradient + r * gradient_row + j;
      V x = whole ? load(g) : load_part(g, n);
      if (relu) {
        const float* y = output + r * output_row + j;
        x = where_positive(whole ? load(y) : load_part(y, n), x);
        if (whole) store(g, x);
        else store_part(g, x, n);
      }
      total = total + x;
    }
    if (!bias_gradient) continue;
    if (whole) store(bias_gradient + j, total);
    else store_part(bias_gradient + j, total, n);
  }
}

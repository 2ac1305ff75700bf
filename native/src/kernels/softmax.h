// exp by range reduction and a polynomial of degree 6 (Cephes expf), 2 ulp; NaN passes.
inline V exponential(V x) {
  x = min(all(88.0f), max(all(-87.0f), x));
  const V n = round_nearest(x * all(1.44269504088896341f));
  V r = fma(n, all(-0.693359375f), x);
  r = fma(n, all(2.12194440e-4f), r);
  V y = all(1.9875691500e-4f);
  y = fma(y, r, all(1.3981999507e-3f));
  y = fma(y, r, all(8.3334519073e-3f));
  y = fma(y, r, all(4.1665795894e-2f));
  y = fma(y, r, all(1.6666665459e-1f));
  y = fma(y, r, all(5.0000001201e-1f));
  y = fma(y, r * r, r + all(1.0f));
  return y * power_of_two(n);
}

inline constexpr float kLogSecondsMax = 11.37f;  // a day

inline void sigmoid(const float* values, int count, float* out) {
  for (int i = 0; i < count; i += kWidth) {
    const int n = count - i < kWidth ? count - i : kWidth;
    const V x = n == kWidth ? load(values + i) : load_part(values + i, n);
    const V y = all(1.0f) / (all(1.0f) + exponential(zero() - x));
    if (n == kWidth) store(out + i, y);
    else store_part(out + i, y, n);
  }
}

// Seconds from their log1p, between none and a day; NaN passes.
inline void seconds_of(const float* values, int count, float* out) {
  const V most = all(kLogSecondsMax);
  for (int i = 0; i < count; i += kWidth) {
    const int n = count - i < kWidth ? count - i : kWidth;
    const V x = n == kWidth ? load(values + i) : load_part(values + i, n);
    const V y = exponential(min(most, max(zero(), x))) - all(1.0f);
    if (n == kWidth) store(out + i, y);
    else store_part(out + i, y, n);
  }
}

// Divides each head's exponentials by their sum.
inline void divide_by_sums(const GateShape& s, float* gates) {
  for (int h = 0; h < s.heads; h++) {
    float* g = gates + h * s.experts;
    float total = 0;
    for (int e = 0; e < s.experts; e++) total += g[e];
    const float scale = 1.0f / total;
    for (int e = 0; e < s.experts; e++) g[e] *= scale;
  }
}

// Writes logits - top of each head.
inline void subtract_tops(const GateShape& s, const float* logits, float* out) {
  for (int h = 0; h < s.heads; h++) {
    const float* z = logits + h * s.experts;
    float top = z[0];
    for (int e = 1; e < s.experts; e++) top = z[e] > top ? z[e] : top;
    for (int e = 0; e < s.experts; e++) out[h * s.experts + e] = z[e] - top;
  }
}

inline void exponentials(const float* values, int count, float* out) {
  for (int j = 0; j < count; j += kWidth) {
    const int n = count - j < kWidth ? count - j : kWidth;
    if (n == kWidth) store(out + j, exponential(load(values + j)));
    else store_part(out + j, exponential(load_part(values + j, n)), n);
  }
}

// gates = softmax over experts of one row, per head.
inline void gate_softmax(const GateShape& s, const float* logits, float* gates) {
  subtract_tops(s, logits, gates);
  exponentials(gates, s.heads * s.experts, gates);
  divide_by_sums(s, gates);
}

// The same for four experts and all rows: each quarter of a vector's 16 bytes is one head.
inline void gate_softmax_of_four(const GateShape& s, const float* logits, float* gates) {
  const int columns = 4 * s.heads, count = s.rows * columns;
  for (int r = 0; r < s.rows; r++) {
    std::memcpy(gates + r * columns, logits + r * s.logits_row, sizeof(float) * columns);
  }
  for (int j = 0; j < count; j += kWidth) {
    const int n = count - j < kWidth ? count - j : kWidth;
    const V z = n == kWidth ? load(gates + j) : load_part(gates + j, n);
    const V e = exponential(z - top_of_four(z));
    if (n == kWidth) store(gates + j, e / sum_of_four(e));
    else store_part(gates + j, e / sum_of_four(e), n);
  }
}

// W vectors of columns of one row for all heads; the experts' values stay in registers.
template <int E, int W, class Out>
inline void mix_columns(const GateShape& s, const float* gates, const float* experts, Out* mixed) {
  V values[E][W];
#pragma GCC unroll 8
  for (int e = 0; e < E; e++) {
    for (int w = 0; w < W; w++) values[e][w] = load(experts + e * s.expert_stride + w * kWidth);
  }
  for (int h = 0; h < s.heads; h++) {
    V shares[E];
    for (int e = 0; e < E; e++) shares[e] = all(gates[h * E + e]);
    Out* out = mixed + h * s.mixed_head;
#pragma GCC unroll 8
    for (int w = 0; w < W; w++) {
      V total = shares[0] * values[0][w];
#pragma GCC unroll 8
      for (int e = 1; e < E; e++) total = fma(shares[e], values[e][w], total);
      store(out + w * kWidth, total);
    }
  }
}

// One row: mixed[h] = sum over experts of gates[h][e] * experts[e].
template <class Out>
inline void mix_row(const GateShape& s, const float* gates, const float* experts, Out* mixed) {
  // As many as the registers hold.
  constexpr int kColumns = kWidth == 16 ? 4 : 2;
  int j = 0;
  for (; s.experts == 4 && j + kColumns * kWidth <= s.width; j += kColumns * kWidth) {
    mix_columns<4, kColumns>(s, gates, experts + j, mixed + j);
  }
  for (; j < s.width; j += kWidth) {
    const int n = s.width - j < kWidth ? s.width - j : kWidth;
    const bool whole = n == kWidth;
    for (int h = 0; h < s.heads; h++) {
      V total = zero();
      for (int e = 0; e < s.experts; e++) {
        const float* from = experts + e * s.expert_stride + j;
        total = fma(all(gates[h * s.experts + e]), whole ? load(from) : load_part(from, n), total);
      }
      Out* out = mixed + h * s.mixed_head + j;
      if (whole) store(out, total);
      else store_part(out, total, n);
    }
  }
}

// mixed[h][r] = sum over experts of gates[r][h][e] * experts[r][e]. Out is float or bf16.
template <class Out>
inline void gate_mix(const GateShape& s, const float* logits, const float* experts, float* gates,
                     Out* mixed) {
  const int columns = s.heads * s.experts;
  if (s.experts == 4) gate_softmax_of_four(s, logits, gates);
  for (int r = 0; r < s.rows; r++) {
    float* g = gates + static_cast<ptrdiff_t>(r) * columns;
    const float* x = experts + r * s.experts_row;
    Out* out = mixed + r * s.mixed_row;
    if (s.experts != 4) gate_softmax(s, logits + r * s.logits_row, g);
    mix_row(s, g, x, out);
  }
}

inline float dot(const float* a, const float* b, int width) {
  V total = zero();
  int j = 0;
  for (; j + kWidth <= width; j += kWidth) total = fma(load(a + j), load(b + j), total);
  if (j < width) total = fma(load_part(a + j, width - j), load_part(b + j, width - j), total);
  return sum(total);
}

// logits_gradient and experts_gradient are overwritten, with the strides of logits and experts.
inline void gate_mix_backward(const GateShape& s, const float* gates, const float* experts,
                              const float* mixed_gradient, float* logits_gradient,
                              float* experts_gradient) {
  for (int r = 0; r < s.rows; r++) {
    const float* g = gates + static_cast<ptrdiff_t>(r) * s.heads * s.experts;
    const float* x = experts + r * s.experts_row;
    float* dx = experts_gradient + r * s.experts_row;
    float* dz = logits_gradient + r * s.logits_row;
    const float* dm = mixed_gradient + r * s.mixed_row;
    for (int h = 0; h < s.heads; h++) {
      const float* gh = g + h * s.experts;
      float* dzh = dz + h * s.experts;
      float mean = 0;
      for (int e = 0; e < s.experts; e++) {
        dzh[e] = dot(dm + h * s.mixed_head, x + e * s.expert_stride, s.width);
        mean += gh[e] * dzh[e];
      }
      for (int e = 0; e < s.experts; e++) dzh[e] = gh[e] * (dzh[e] - mean);
    }
    for (int e = 0; e < s.experts; e++) {
      for (int j = 0; j < s.width; j += kWidth) {
        const int n = s.width - j < kWidth ? s.width - j : kWidth;
        V total = zero();
        for (int h = 0; h < s.heads; h++) {
          const float* from = dm + h * s.mixed_head + j;
          const V value = n == kWidth ? load(from) : load_part(from, n);
          total = fma(all(g[h * s.experts + e]), value, total);
        }
        float* out = dx + e * s.expert_stride + j;
        if (n == kWidth) store(out, total);
        else store_part(out, total, n);
      }
    }
  }
}

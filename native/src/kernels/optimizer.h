// Adam (Kingma and Ba 2015), bias-corrected; gradient_scale carries the clipping factor.
inline V adam_vector(V w, V g, V& m, V& v, const AdamStep& s) {
  g = g * all(s.gradient_scale);
  m = fma(all(s.beta1), m, all(s.rest1) * g);
  v = fma(all(s.beta2), v, all(s.rest2) * (g * g));
  const V root = sqrt(v * all(s.correction2)) + all(s.epsilon);
  return w - all(s.learning_rate) * (m * all(s.correction1)) / root;
}

inline void adam(float* weights, const float* gradients, float* first, float* second, int count,
                 const AdamStep& s) {
  int i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    V m = load(first + i), v = load(second + i);
    store(weights + i, adam_vector(load(weights + i), load(gradients + i), m, v, s));
    store(first + i, m);
    store(second + i, v);
  }
  const int n = count - i;
  if (n == 0) return;
  V m = load_part(first + i, n), v = load_part(second + i, n);
  const V w = load_part(weights + i, n), g = load_part(gradients + i, n);
  store_part(weights + i, adam_vector(w, g, m, v, s), n);
  store_part(first + i, m, n);
  store_part(second + i, v, n);
}

// Adagrad (Duchi et al. 2011), element-wise.
inline void adagrad(float* weights, const float* gradients, float* sums, int count,
                    float learning_rate, float epsilon, float gradient_scale) {
  for (int i = 0; i < count; i += kWidth) {
    const int n = count - i < kWidth ? count - i : kWidth;
    const bool whole = n == kWidth;
    const V g = (whole ? load(gradients + i) : load_part(gradients + i, n)) * all(gradient_scale);
    const V s = fma(g, g, whole ? load(sums + i) : load_part(sums + i, n));
    const V w = whole ? load(weights + i) : load_part(weights + i, n);
    const V next = w - all(learning_rate) * g / (sqrt(s) + all(epsilon));
    if (whole) {
      store(sums + i, s);
      store(weights + i, next);
    } else {
      store_part(sums + i, s, n);
      store_part(weights + i, next, n);
    }
  }
}

inline double square_sum(const float* values, int count) {
  double total = 0;
  // Blocks of 4,096 keep the float sums short; their total is double.
  for (int from = 0; from < count; from += 4096) {
    const int n = count - from < 4096 ? count - from : 4096;
    total += dot(values + from, values + from, n);
  }
  return total;
}

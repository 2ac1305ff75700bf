// Kernels one by one, as kernels_check.h says.
#include "kernels_check.h"

namespace {

void check_products() {
  const int rows[] = {0, 1, 3, 4, 5, 11, 12, 13, 25};
  const int depths[] = {0, 1, 7, 255, 256, 257};
  int turn = 0;
  for (int m : rows) {
    for (int n : kSizes) {
      const int k = depths[turn++ % 6], gap = turn % 3;
      const bool transposed = turn % 2 == 0;
      on_all_numbers("matrix_product", [=](const Kernels& set, Buffers& buffers) {
        const auto span = [](int r, int row, int c) { return r && c ? (r - 1) * row + c : 0; };
        MatrixProduct p{};
        p.m = m, p.n = n, p.k = k;
        p.a_row = transposed ? 1 : k + gap, p.a_column = transposed ? m + gap : 1;
        p.b_row = transposed ? 1 : n + gap, p.b_column = transposed ? k + gap : 1;
        p.c_row = n + gap;
        p.a = buffers.take(transposed ? span(k, m + gap, m) : span(m, k + gap, k));
        p.b = buffers.take(transposed ? span(n, k + gap, k) : span(k, n + gap, n));
        p.c = buffers.take(span(m, n + gap, n));
        p.bias = turn % 4 == 0 ? nullptr : buffers.take(n);
        p.relu_columns = turn % 3 == 0 ? n : n > 16 ? 16 : 0;
        p.accumulate = turn % 5 < 2;
        set.matrix_product(p);
      });
    }
  }
}

void check_dense() {
  for (int n : kSizes) {
    const int rows = n % 6, row = n + 1;
    const size_t span = rows ? (rows - 1) * row + n : 0;
    on_all_numbers("relu_backward", [=](const Kernels& set, Buffers& b) {
      float* output = b.take(span);
      float* gradient = b.take(span);
      set.relu_backward(output, gradient, b.take(n), rows, n, row, row, n % 2 == 0);
    });
    on_all_numbers("dot_rows", [=](const Kernels& set, Buffers& b) {
      float* query = b.take(n);
      float* all = b.take(span);
      set.dot_rows(query, all, rows, n, row, b.take(rows));
    });
    on_all_numbers("dot_rows_backward", [=](const Kernels& set, Buffers& b) {
      float *query = b.take(n), *all = b.take(span), *out = b.take(rows), *to = b.take(n);
      set.dot_rows_backward(query, all, out, rows, n, row, to, b.take(span));
    });
    on_all_numbers("normalise", [=](const Kernels& set, Buffers& b) {
      float *values = b.take(rows * n), *mean = b.take(n), *scale = b.take(n);
      set.normalise(values, mean, scale, 4, rows, n, b.take(span), row);
    });
    on_all_numbers("sigmoid", [=](const Kernels& set, Buffers& b) {
      float* values = b.take(n);
      set.sigmoid(values, n, b.take(n));
      set.sigmoid(values, n, values);
    });
  }
}

GateShape gate_shape(int rows, int heads, int experts, int width) {
  GateShape s;
  s.rows = rows, s.heads = heads, s.experts = experts, s.width = width;
  s.logits_row = heads * experts + 1;
  s.expert_stride = width + 1;
  s.experts_row = experts * s.expert_stride;
  s.mixed_row = width + 1;
  s.mixed_head = rows * s.mixed_row;
  return s;
}

void check_gates() {
  const int shapes[][2] = {{1, 1}, {5, 4}, {3, 7}, {2, 17}};
  for (int width : {1, 7, 16, 19, 64}) {
    for (const auto& [heads, experts] : shapes) {
      const GateShape s = gate_shape(3, heads, experts, width);
      const size_t logits = 2 * s.logits_row + heads * experts;
      const size_t values = 2 * s.experts_row + (experts - 1) * s.expert_stride + width;
      const size_t mixed = (heads - 1) * s.mixed_head + 2 * s.mixed_row + width;
      on_all_numbers("gate_mix", [=](const Kernels& set, Buffers& b) {
        float *z = b.take(logits), *x = b.take(values), *g = b.take(3 * heads * experts);
        set.gate_mix(s, z, x, g, b.take(mixed));
      });
      on_all_numbers("gate_mix_backward", [=](const Kernels& set, Buffers& b) {
        float *g = b.take(3 * heads * experts), *x = b.take(values), *d = b.take(mixed);
        float* dz = b.take(logits);
        set.gate_mix_backward(s, g, x, d, dz, b.take(values));
      });
    }
  }
}

void check_optimizers() {
  const AdamStep step = {0.01f, 0.9f, 0.999f, 1e-8f, 0.1f, 0.001f, 3.7f, 333, 0.5f};
  for (int n : {0, 1, 3, 15, 16, 17, 33, 4095, 4097}) {
    for (Numbers kind : {kPlain, kWild}) {
      const Numbers squares = kind == kPlain ? kPositive : kWild;
      on_all_sets("adam", kind, [=](const Kernels& set, Buffers& b) {
        float *w = b.take(n), *g = b.take(n), *m = b.take(n);
        set.adam(w, g, m, b.take(n, squares), n, step);
      });
      on_all_sets("adagrad", kind, [=](const Kernels& set, Buffers& b) {
        float *w = b.take(n), *g = b.take(n);
        set.adagrad(w, g, b.take(n, squares), n, 0.1f, 1e-6f, 2);
      });
      on_all_sets("square_sum", kind, [=](const Kernels& set, Buffers& b) {
        const double total = set.square_sum(b.take(n), n);
        *b.take(1) = static_cast<float>(total / (n + 1));
      });
    }
  }
}

void check_losses() {
  for (int n : {0, 1, 7, 33}) {
    for (Numbers kind : {kPlain, kWild}) {
      for (bool gradients : {true, false}) {
        Buffers b(kind);
        float *z = b.take(n), *y = b.take(n), *w = b.take(n), *given = b.take(n);
        float *losses = b.take(n), *dz = gradients ? b.take(n) : nullptr;
        float* dgiven = gradients ? b.take(n) : nullptr;
        bce(z, y, w, n, losses, dz);
        ctcvr(given, z, y, w, n, losses, dgiven, dz);
        smooth_l1(z, y, w, n, 0.5f, losses, dz);
        checks += 3;
      }
    }
  }
}

// Every index at most once, best first, what is not finite last.
void check_top_k() {
  for (int n : {0, 1, 2, 17, 500}) {
    for (int k : {0, 1, 16, 500, 600}) {
      Buffers b(kWild);
      const float* scores = b.take(n);
      const int kept = std::min(n, k);
      // Guarded memory of the same size: uint32_t and float are four bytes.
      uint32_t* out = reinterpret_cast<uint32_t*>(b.scratch(kept));
      CHECK(top_k(scores, n, k, out) == kept);
      std::vector<bool> seen(n);
      for (int i = 0; i < kept; i++) {
        CHECK(out[i] < static_cast<uint32_t>(n) && !seen[out[i]]);
        seen[out[i]] = true;
        if (i == 0) continue;
        const float before = scores[out[i - 1]], here = scores[out[i]];
        CHECK(!std::isfinite(here) || (std::isfinite(before) && before >= here));
      }
      checks++;
    }
  }
}

}  // namespace

int main() {
  check_products();
  check_dense();
  check_gates();
  check_optimizers();
  check_losses();
  check_top_k();
  CHECK(checks > 500);
  printf("%d calls on %d instruction sets\n", checks, best_instruction_set() + 1);
}

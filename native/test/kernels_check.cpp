// Every kernel on every instruction set of this machine, at awkward sizes, on buffers that end at a
// page nobody may touch and start off alignment, over numbers that hide faults: NaN, infinities,
// denormals. Sets must agree by kind (NaN, infinity) and, where finite, within rounding.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <utility>

#include "kernels/table.h"
#include "race.h"

using namespace rec;

namespace {

// Floats whose last one ends where a guard page begins; the page before is a guard too, and what
// lies between it and the first float holds a pattern that must stay.
class Guarded {
 public:
  explicit Guarded(size_t count) : count_(count) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inside = (count * sizeof(float) + page) / page * page;
    bytes_ = inside + 2 * page;
    base_ = static_cast<uint8_t*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(base_ != MAP_FAILED);
    CHECK(mprotect(base_, page, PROT_NONE) == 0);
    CHECK(mprotect(base_ + page + inside, page, PROT_NONE) == 0);
    begin_ = base_ + page;
    values_ = reinterpret_cast<float*>(begin_ + inside) - count;
    std::memset(begin_, kPattern, inside);
  }
  Guarded(const Guarded&) = delete;
  ~Guarded() {
    for (const uint8_t* at = begin_; at < reinterpret_cast<uint8_t*>(values_); at++) {
      CHECK(*at == kPattern);
    }
    munmap(base_, bytes_);
  }
  float* data() { return values_; }
  size_t size() const { return count_; }

 private:
  static constexpr uint8_t kPattern = 0xa5;
  size_t count_, bytes_;
  uint8_t *base_, *begin_;
  float* values_;
};

uint32_t state = 1;

uint32_t next() {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

enum Numbers { kPlain, kPositive, kWild };

// Wild: one of eight is NaN, an infinity, a denormal, a zero or huge.
float number(Numbers kind) {
  const float plain = static_cast<float>(static_cast<int32_t>(next())) * 0x1p-31f;
  if (kind == kPositive) return std::abs(plain) + 1e-3f;
  if (kind == kPlain || next() % 8 != 0) return plain;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float special[] = {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity, 1e-40f,
                           -1e-42f, 0.0f, -0.0f, 3e38f};
  return special[next() % 8];
}

// Buffers of one call. Every set starts from the same numbers.
class Buffers {
 public:
  explicit Buffers(Numbers kind) : kind_(kind) {}
  float* take(size_t count) { return take(count, kind_); }
  float* take(size_t count, Numbers kind) {
    all_.push_back(std::make_unique<Guarded>(count));
    float* values = all_.back()->data();
    for (size_t i = 0; i < count; i++) values[i] = number(kind);
    return values;
  }
  // Scratch: its contents are nobody's business.
  float* scratch(size_t count) {
    spare_.push_back(std::make_unique<Guarded>(count));
    return spare_.back()->data();
  }
  std::vector<float> contents() {
    std::vector<float> out;
    for (const auto& one : all_) out.insert(out.end(), one->data(), one->data() + one->size());
    return out;
  }

 private:
  Numbers kind_;
  std::vector<std::unique_ptr<Guarded>> all_, spare_;
};

int checks = 0;

bool same(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return std::abs(a - b) <= 3e-5f * std::max(1.0f, std::abs(b));
}

using Body = std::function<void(const Kernels&, Buffers&)>;

// Runs a body on all sets. Plain numbers must agree; over wild ones what overflows may differ by
// the order of a sum, so there only the bounds, and that plain calls stay plain, are held.
void on_all_sets(const char* name, Numbers kind, const Body& body) {
  const uint32_t seed = next() | 1;
  std::vector<float> wanted;
  for (int set = 0; set <= best_instruction_set(); set++) {
    state = seed;
    Buffers buffers(kind);
    body(kernels_of(set), buffers);
    const std::vector<float> found = buffers.contents();
    if (set == 0) wanted = found;
    CHECK(found.size() == wanted.size());
    for (size_t i = 0; kind != kWild && i < found.size(); i++) {
      if (same(found[i], wanted[i]) && std::isfinite(found[i])) continue;
      fprintf(stderr, "%s, set %d, at %zu: %g, base has %g\n", name, set, i,
              static_cast<double>(found[i]), static_cast<double>(wanted[i]));
      exit(1);
    }
    checks++;
  }
}

void on_all_numbers(const char* name, const Body& body) {
  on_all_sets(name, kPlain, body);
  on_all_sets(name, kWild, body);
}

const int kSizes[] = {1, 2, 3, 5, 7, 8, 12, 13, 15, 16, 17, 31, 33, 47, 65};

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
  const AdamStep step = {0.01f, 0.9f, 0.999f, 1e-8f, 3.7f, 333, 0.5f};
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

struct Widths {
  int inputs[4];
  int heads, experts;
  std::vector<int> expert, tower;
};

// Parts one after another without gaps: reading past one is reading another, past the last a fault.
MmoeShape mmoe_shape(const Widths& widths) {
  MmoeShape s{};
  s.user_dense = widths.inputs[0], s.user_vector = widths.inputs[1];
  s.item_dense = widths.inputs[2], s.item_vector = widths.inputs[3];
  s.heads = widths.heads, s.experts = widths.experts;
  s.expert_layers = static_cast<int>(widths.expert.size());
  s.tower_layers = static_cast<int>(widths.tower.size());
  const auto take = [&s](int floats) { return std::exchange(s.floats, s.floats + floats); };
  s.user_mean = take(s.user_dense), s.user_scale = take(s.user_dense);
  s.item_mean = take(s.item_dense), s.item_scale = take(s.item_dense);
  const int columns = s.experts * padded(widths.expert[0]) + padded(s.heads * (s.experts + 1));
  s.layer_one = take((s.user_dense + s.user_vector + s.item_dense + s.item_vector) * columns);
  s.layer_one_bias = take(columns);
  int in = 0;
  for (int l = 0; l < s.expert_layers; l++) {
    const int out = s.expert_width[l] = widths.expert[l];
    if (l > 0) s.expert_offset[l] = take(s.experts * (in + 1) * padded(out));
    in = out;
  }
  for (int l = 0; l < s.tower_layers; l++) {
    const int out = s.tower_width[l] = widths.tower[l];
    s.tower_offset[l] = take(s.heads * (in + 1) * padded(out));
    in = out;
  }
  s.output_offset = take(s.heads * (padded(in) + 16));
  s.seconds_heads = 1u << (s.heads - 1);
  return s;
}

void check_mmoe() {
  const Widths all[] = {
      {{3, 2, 5, 1}, 1, 1, {7}, {}},
      {{17, 0, 9, 4}, 2, 3, {20, 9}, {5}},
      {{6, 4, 0, 8}, 5, 4, {16, 12, 33}, {18, 4}},
      {{16, 16, 40, 16}, 5, 4, {64, 32}, {16}},
  };
  for (const Widths& widths : all) {
    const MmoeShape s = mmoe_shape(widths);
    for (int rows : {0, 1, 13, 168, 171}) {
      for (bool each : {false, true}) {
        const int users = each ? rows : 1;
        on_all_numbers("mmoe_score", [&](const Kernels& set, Buffers& b) {
          MmoeInput in{};
          float* weights = b.take(s.floats);
          for (int i = 0; i < s.floats; i++) weights[i] *= 0.2f;
          in.weights = weights;
          in.user_dense = b.take(users * s.user_dense);
          in.user_vector = b.take(users * s.user_vector);
          in.user_rows = users;
          in.item_dense = b.take(rows * s.item_dense);
          in.item_vector = b.take(rows * s.item_vector);
          in.rows = rows;
          in.logits = rows % 2 == 0;
          in.out = b.take(rows * s.heads);
          in.workspace = b.scratch(mmoe_workspace(s));
          set.mmoe_score(s, in);
        });
      }
    }
  }
}

struct Groups {
  int heads, head_experts, shared_experts;
  int experts() const { return heads * head_experts + shared_experts; }
  int logits(bool shared_gate) const {
    return heads * (head_experts + shared_experts) + (shared_gate ? experts() : 0);
  }
};

const Groups kGroups[] = {{1, 1, 1}, {5, 1, 2}, {3, 2, 3}, {2, 7, 17}};

void check_extraction() {
  for (const Groups& g : kGroups) {
    for (int width : {1, 16, 19, 64}) {
      const bool shared = width % 2 == 0;
      const int rows = 3, logits = g.logits(shared), gates = g.heads + shared;
      const ExtractionShape s{rows, g.heads, g.head_experts, g.shared_experts, shared, width,
                              logits + 2, g.experts() * (width + 1), width + 1,
                              rows * (width + 2), width + 2};
      const size_t all_logits = 2 * s.logits_row + logits;
      const size_t values = 2 * s.experts_row + (g.experts() - 1) * s.expert_stride + width;
      const size_t mixed = (gates - 1) * s.mixed_gate + 2 * s.mixed_row + width;
      on_all_numbers("extraction_mix", [=](const Kernels& set, Buffers& b) {
        float *z = b.take(all_logits), *x = b.take(values), *out = b.take(rows * logits);
        set.extraction_mix(s, z, x, out, b.take(mixed));
      });
      on_all_numbers("extraction_mix_backward", [=](const Kernels& set, Buffers& b) {
        float *y = b.take(rows * logits), *x = b.take(values), *d = b.take(mixed);
        float* dz = b.take(all_logits);
        set.extraction_mix_backward(s, y, x, d, dz, b.take(values));
      });
    }
  }
}

PleShape ple_shape(const Groups& g, int levels, const Widths& widths) {
  PleShape s{};
  s.user_dense = widths.inputs[0], s.user_vector = widths.inputs[1];
  s.item_dense = widths.inputs[2], s.item_vector = widths.inputs[3];
  s.heads = g.heads, s.head_experts = g.head_experts, s.shared_experts = g.shared_experts;
  s.levels = levels;
  s.expert_layers = static_cast<int>(widths.expert.size());
  s.tower_layers = static_cast<int>(widths.tower.size());
  const auto take = [&s](int floats) { return std::exchange(s.floats, s.floats + floats); };
  s.user_mean = take(s.user_dense), s.user_scale = take(s.user_dense);
  s.item_mean = take(s.item_dense), s.item_scale = take(s.item_dense);
  const int gates = padded(g.logits(levels > 1) + g.heads);
  const int columns = g.experts() * padded(widths.expert[0]) + gates;
  s.layer_one = take((s.user_dense + s.user_vector + s.item_dense + s.item_vector) * columns);
  s.layer_one_bias = take(columns);
  const int last = widths.expert.back();
  for (int level = 0; level < levels; level++) {
    int in = last;
    for (int l = 0; l < s.expert_layers; l++) {
      const int out = s.expert_width[l] = widths.expert[l];
      const bool own = level > 0 || l > 0;
      if (own) s.expert_offset[level][l] = take(g.experts() * (in + 1) * padded(out));
      in = out;
    }
    const int seen = padded(g.head_experts + g.shared_experts);
    const int shared = level < levels - 1 ? padded(g.experts()) : 0;
    if (level > 0) s.gate_offset[level] = take((last + 1) * (g.heads * seen + shared));
  }
  int in = last;
  for (int l = 0; l < s.tower_layers; l++) {
    const int out = s.tower_width[l] = widths.tower[l];
    s.tower_offset[l] = take(s.heads * (in + 1) * padded(out));
    in = out;
  }
  s.output_offset = take(s.heads * (padded(in) + 16));
  s.seconds_heads = 1u << (s.heads - 1);
  return s;
}

void check_ple() {
  const PleShape all[] = {
      ple_shape(kGroups[0], 1, {{3, 2, 5, 1}, 0, 0, {7}, {}}),
      ple_shape(kGroups[2], 2, {{17, 0, 9, 4}, 0, 0, {20, 9}, {5}}),
      ple_shape(kGroups[1], 3, {{6, 4, 0, 8}, 0, 0, {33}, {18, 4}}),
  };
  for (const PleShape& s : all) {
    for (int rows : {0, 1, 13, 168, 171}) {
      const int users = rows == 13 ? rows : 1;
      on_all_numbers("ple_score", [&](const Kernels& set, Buffers& b) {
        MmoeInput in{};
        float* weights = b.take(s.floats);
        for (int i = 0; i < s.floats; i++) weights[i] *= 0.2f;
        in.weights = weights;
        in.user_dense = b.take(users * s.user_dense);
        in.user_vector = b.take(users * s.user_vector);
        in.user_rows = users;
        in.item_dense = b.take(rows * s.item_dense);
        in.item_vector = b.take(rows * s.item_vector);
        in.rows = rows;
        in.logits = rows % 2 == 0;
        in.out = b.take(rows * s.heads);
        in.workspace = b.scratch(ple_workspace(s));
        set.ple_score(s, in);
      });
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
  check_mmoe();
  check_extraction();
  check_ple();
  CHECK(checks > 500);
  printf("%d calls on %d instruction sets\n", checks, best_instruction_set() + 1);
}

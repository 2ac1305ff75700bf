// Progressive layered extraction: gates that see some experts, and scoring many items in one call,
// in blocks of rows whose activations stay in the second-level cache. See PleShape.

// The experts that gate g sees are own_count from own on, then shared_count from shared on.
struct Seen {
  int own, own_count, shared, shared_count;
};

inline Seen seen_by(const ExtractionShape& s, int g) {
  const int shared = s.heads * s.head_experts;
  if (g == s.heads) return Seen{0, shared, shared, s.shared_experts};
  return Seen{g * s.head_experts, s.head_experts, shared, s.shared_experts};
}

inline int seen_expert(const Seen& seen, int i) {
  return i < seen.own_count ? seen.own + i : seen.shared + i - seen.own_count;
}

inline int extraction_logits(const ExtractionShape& s) {
  const int all = s.heads * s.head_experts + s.shared_experts;
  return s.heads * (s.head_experts + s.shared_experts) + (s.shared_gate ? all : 0);
}

// gates = softmax of each gate's logits, which stand packed one gate after another.
inline void extraction_softmax(const ExtractionShape& s, const float* logits, float* gates) {
  const int all = s.heads * s.head_experts + s.shared_experts;
  const int gate_count = s.heads + (s.shared_gate ? 1 : 0);
  int at = 0;
  for (int g = 0; g < gate_count; g++) {
    const int seen = g == s.heads ? all : s.head_experts + s.shared_experts;
    float top = logits[at];
    for (int i = 1; i < seen; i++) top = logits[at + i] > top ? logits[at + i] : top;
    for (int i = 0; i < seen; i++) gates[at + i] = logits[at + i] - top;
    at += seen;
  }
  exponentials(gates, at, gates);
  at = 0;
  for (int g = 0; g < gate_count; g++) {
    const int seen = g == s.heads ? all : s.head_experts + s.shared_experts;
    float total = 0;
    for (int i = 0; i < seen; i++) total += gates[at + i];
    const float scale = 1.0f / total;
    for (int i = 0; i < seen; i++) gates[at + i] *= scale;
    at += seen;
  }
}

inline V load_columns(const float* from, int n) {
  return n == kWidth ? load(from) : load_part(from, n);
}

inline void store_columns(float* out, V x, int n) {
  if (n == kWidth) store(out, x);
  else store_part(out, x, n);
}

inline void extraction_mix_row(const ExtractionShape& s, const float* gates, const float* experts,
                               float* mixed) {
  const int gate_count = s.heads + (s.shared_gate ? 1 : 0);
  for (int g = 0; g < gate_count; g++) {
    const Seen seen = seen_by(s, g);
    const int count = seen.own_count + seen.shared_count;
    for (int j = 0; j < s.width; j += kWidth) {
      const int n = s.width - j < kWidth ? s.width - j : kWidth;
      V total = zero();
      for (int i = 0; i < count; i++) {
        const float* x = experts + seen_expert(seen, i) * s.expert_stride + j;
        total = fma(all(gates[i]), load_columns(x, n), total);
      }
      store_columns(mixed + g * s.mixed_gate + j, total, n);
    }
    gates += count;
  }
}

inline void extraction_mix(const ExtractionShape& s, const float* logits, const float* experts,
                           float* gates, float* mixed) {
  const ptrdiff_t gates_row = extraction_logits(s);
  for (int r = 0; r < s.rows; r++) {
    float* g = gates + r * gates_row;
    extraction_softmax(s, logits + r * s.logits_row, g);
    extraction_mix_row(s, g, experts + r * s.experts_row, mixed + r * s.mixed_row);
  }
}

// One gate of one row: its logits' gradient, and its part of the experts' gradients.
inline void extraction_gate_backward(const ExtractionShape& s, const Seen& seen,
                                     const float* gates, const float* experts, const float* dm,
                                     float* dz, float* dx) {
  const int count = seen.own_count + seen.shared_count;
  float mean = 0;
  for (int i = 0; i < count; i++) {
    dz[i] = dot(dm, experts + seen_expert(seen, i) * s.expert_stride, s.width);
    mean += gates[i] * dz[i];
  }
  for (int i = 0; i < count; i++) {
    dz[i] = gates[i] * (dz[i] - mean);
    float* out = dx + seen_expert(seen, i) * s.expert_stride;
    for (int j = 0; j < s.width; j += kWidth) {
      const int n = s.width - j < kWidth ? s.width - j : kWidth;
      const V part = fma(all(gates[i]), load_columns(dm + j, n), load_columns(out + j, n));
      store_columns(out + j, part, n);
    }
  }
}

// logits_gradient and experts_gradient are overwritten, with the strides of logits and experts.
inline void extraction_mix_backward(const ExtractionShape& s, const float* gates,
                                    const float* experts, const float* mixed_gradient,
                                    float* logits_gradient, float* experts_gradient) {
  const ptrdiff_t gates_row = extraction_logits(s);
  const int expert_count = s.heads * s.head_experts + s.shared_experts;
  const int gate_count = s.heads + (s.shared_gate ? 1 : 0);
  for (int r = 0; r < s.rows; r++) {
    const float* x = experts + r * s.experts_row;
    float* dx = experts_gradient + r * s.experts_row;
    for (int e = 0; e < expert_count; e++) {
      std::memset(dx + e * s.expert_stride, 0, sizeof(float) * s.width);
    }
    int at = 0;
    for (int g = 0; g < gate_count; g++) {
      const Seen seen = seen_by(s, g);
      extraction_gate_backward(s, seen, gates + r * gates_row + at, x,
                               mixed_gradient + g * s.mixed_gate + r * s.mixed_row,
                               logits_gradient + r * s.logits_row + at, dx);
      at += seen.own_count + seen.shared_count;
    }
  }
}

struct PleBlock {
  const PleShape& s;
  const MmoeInput& in;
  int from, rows;
  int user_width, item_width, hidden, columns, first_skip;
  float *x, *user_sum, *first, *wide[2], *logits, *gates, *column;
};

// Values of several blocks in rows: block b of row r starts at values + b * block + r * row.
struct PleStack {
  float* values;
  ptrdiff_t row, block;
  int width;
};

// The buffer that `used` does not stand in.
inline float* other_buffer(const PleBlock& b, const float* used) {
  return b.wide[0] == used ? b.wide[1] : b.wide[0];
}

// One dense layer with ReLU a block; block e of the input is block_of(e).
template <class BlockOf>
inline PleStack ple_layer(const PleBlock& b, const PleStack& in, const float* weights, int blocks,
                          int out_width, float* out, BlockOf block_of) {
  const int pad = padded(out_width);
  const PleStack result{out, static_cast<ptrdiff_t>(blocks) * pad, pad, out_width};
  const ptrdiff_t stride = static_cast<ptrdiff_t>(in.width + 1) * pad;
  for (int e = 0; e < blocks; e++) {
    const float* w = weights + e * stride;
    MatrixProduct p = product(in.values + block_of(e) * in.block, in.row, w, pad);
    p.bias = w + static_cast<ptrdiff_t>(in.width) * pad;
    p.c = out + e * result.block;
    p.c_row = result.row;
    p.m = b.rows;
    p.n = pad;
    p.k = in.width;
    p.relu_columns = pad;
    matrix_product(p);
  }
  return result;
}

inline int same_block(int e) { return e; }

// Gate logits of a level above the first, packed in rows of z.logits.
inline void ple_gate_logits(const PleBlock& b, const PleStack& mixed, int level) {
  const LevelSizes z = level_sizes(b.s, level);
  const float* w = b.in.weights + b.s.gate_offset[level];
  for (int g = 0; g < z.gates; g++) {
    const int seen = g < b.s.heads ? z.seen : z.experts;
    const int pad = padded(seen);
    MatrixProduct p = product(mixed.values + g * mixed.block, mixed.row, w, pad);
    p.bias = w + static_cast<ptrdiff_t>(mixed.width) * pad;
    p.c = b.logits + g * z.seen;
    p.c_row = z.logits;
    p.m = b.rows;
    p.n = seen;
    p.k = mixed.width;
    matrix_product(p);
    w += static_cast<ptrdiff_t>(mixed.width + 1) * pad;
  }
}

inline PleStack ple_mix(const PleBlock& b, const PleStack& experts, int level, const float* logits,
                        ptrdiff_t logits_row) {
  const LevelSizes z = level_sizes(b.s, level);
  const int pad = padded(experts.width);
  float* out = other_buffer(b, experts.values);
  ExtractionShape g;
  g.rows = b.rows;
  g.heads = b.s.heads;
  g.head_experts = b.s.head_experts;
  g.shared_experts = b.s.shared_experts;
  g.shared_gate = z.gates > b.s.heads;
  g.width = pad;
  g.logits_row = logits_row;
  g.experts_row = experts.row;
  g.expert_stride = experts.block;
  g.mixed_gate = pad;
  g.mixed_row = static_cast<ptrdiff_t>(z.gates) * pad;
  extraction_mix(g, logits, experts.values, b.gates, out);
  return PleStack{out, g.mixed_row, pad, experts.width};
}

inline PleStack ple_first_level(const PleBlock& b) {
  const PleShape& s = b.s;
  const int experts = level_sizes(s, 0).experts;
  PleStack x{b.first, b.columns, padded(s.expert_width[0]), s.expert_width[0]};
  for (int l = 1; l < s.expert_layers; l++) {
    x = ple_layer(b, x, b.in.weights + s.expert_offset[0][l], experts, s.expert_width[l],
                  other_buffer(b, x.values), same_block);
  }
  return ple_mix(b, x, 0, b.first + b.hidden, b.columns);
}

inline PleStack ple_next_level(const PleBlock& b, const PleStack& mixed, int level) {
  const PleShape& s = b.s;
  const LevelSizes z = level_sizes(s, level);
  ple_gate_logits(b, mixed, level);
  const auto group_of = [&s](int e) {
    return e / s.head_experts < s.heads ? e / s.head_experts : s.heads;
  };
  PleStack x = ple_layer(b, mixed, b.in.weights + s.expert_offset[level][0], z.experts,
                         s.expert_width[0], other_buffer(b, mixed.values), group_of);
  for (int l = 1; l < s.expert_layers; l++) {
    x = ple_layer(b, x, b.in.weights + s.expert_offset[level][l], z.experts, s.expert_width[l],
                  other_buffer(b, x.values), same_block);
  }
  return ple_mix(b, x, level, b.logits, z.logits);
}

inline void ple_write_column(const PleBlock& b, int head, const float* z) {
  float* out = b.in.out + static_cast<ptrdiff_t>(head) * b.in.rows + b.from;
  if (b.in.logits) {
    std::memcpy(out, z, sizeof(float) * b.rows);
    return;
  }
  if (b.s.seconds_heads >> head & 1) seconds_of(z, b.rows, out);
  else sigmoid(z, b.rows, out);
}

inline void ple_towers(const PleBlock& b, PleStack x) {
  const PleShape& s = b.s;
  for (int l = 0; l < s.tower_layers; l++) {
    x = ple_layer(b, x, b.in.weights + s.tower_offset[l], s.heads, s.tower_width[l],
                  other_buffer(b, x.values), same_block);
  }
  const int pad = padded(x.width);
  const float* skip = b.first + b.first_skip;
  for (int h = 0; h < s.heads; h++) {
    const float* w = b.in.weights + s.output_offset + static_cast<ptrdiff_t>(h) * (pad + 16);
    dot_rows(w, x.values + h * x.block, b.rows, x.width, x.row, b.column);
    for (int r = 0; r < b.rows; r++) {
      b.column[r] += w[pad] + skip[r * static_cast<ptrdiff_t>(b.columns) + h];
    }
    ple_write_column(b, h, b.column);
  }
}

inline void ple_score(const PleShape& s, const MmoeInput& in) {
  const PleSizes z = ple_sizes(s);
  float* at = in.workspace;
  const auto take = [&at](size_t floats) {
    float* here = at;
    at += floats;
    return here;
  };
  PleBlock b{s, in, 0, 0, s.user_dense + s.user_vector, s.item_dense + s.item_vector,
             z.hidden, z.columns, z.hidden + level_sizes(s, 0).logits, take(z.inputs),
             take(z.columns), take(z.first), {take(z.wide), take(z.wide)},
             take(z.gates), take(z.gates), take(kMmoeRows)};
  if (in.user_rows == 1) layer_one_user(b, 0, 1, b.user_sum);
  for (int from = 0; from < in.rows; from += kMmoeRows) {
    b.from = from;
    b.rows = in.rows - from < kMmoeRows ? in.rows - from : kMmoeRows;
    layer_one(b);
    PleStack mixed = ple_first_level(b);
    for (int level = 1; level < s.levels; level++) mixed = ple_next_level(b, mixed, level);
    ple_towers(b, mixed);
  }
}

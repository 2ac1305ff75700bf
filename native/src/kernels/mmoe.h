// Scores many items in one call: see MmoeShape. Rows go in blocks whose activations stay in the
// second-level cache; one user's half of layer one is computed once and starts every item's sum.
inline constexpr float kInputClip = 4.0f;

struct MmoeBlock {
  const MmoeShape& s;
  const MmoeInput& in;
  int from, rows;
  int user_width, item_width, hidden, columns;
  float *x, *user_sum, *first, *second, *third, *gates, *column;
};

struct Stack {
  float* values;
  ptrdiff_t row, block;  // strides between rows and between experts (or heads)
  int width;
};

inline MatrixProduct product(const float* a, ptrdiff_t a_row, const float* b, ptrdiff_t b_row) {
  MatrixProduct p{};
  p.a = a;
  p.a_row = a_row;
  p.a_column = 1;
  p.b = b;
  p.b_row = b_row;
  p.b_column = 1;
  return p;
}

// x = [normalised dense | vector], rows x (dense + vector).
inline void join_inputs(const float* dense, const float* vector, const float* mean,
                        const float* scale, int rows, int dense_width, int vector_width, float* x) {
  const ptrdiff_t width = dense_width + vector_width;
  normalise(dense, mean, scale, kInputClip, rows, dense_width, x, width);
  for (int r = 0; r < rows && vector_width > 0; r++) {
    std::memcpy(x + r * width + dense_width, vector + static_cast<ptrdiff_t>(r) * vector_width,
                sizeof(float) * vector_width);
  }
}

// Layer one of any model whose block has these fields: the user's half, then the item's upon it.
template <class Block>
inline void layer_one_user(const Block& b, int row, int rows, float* out) {
  const auto& s = b.s;
  const float* w = b.in.weights;
  join_inputs(b.in.user_dense + static_cast<ptrdiff_t>(row) * s.user_dense,
              b.in.user_vector + static_cast<ptrdiff_t>(row) * s.user_vector, w + s.user_mean,
              w + s.user_scale, rows, s.user_dense, s.user_vector, b.x);
  MatrixProduct p = product(b.x, b.user_width, w + s.layer_one, b.columns);
  p.bias = w + s.layer_one_bias;
  p.c = out;
  p.c_row = b.columns;
  p.m = rows;
  p.n = b.columns;
  p.k = b.user_width;
  matrix_product(p);
}

template <class Block>
inline void layer_one(const Block& b) {
  const auto& s = b.s;
  const float* w = b.in.weights;
  if (b.in.user_rows == 1) {
    for (int r = 0; r < b.rows; r++) {
      std::memcpy(b.first + static_cast<ptrdiff_t>(r) * b.columns, b.user_sum,
                  sizeof(float) * b.columns);
    }
  } else {
    layer_one_user(b, b.from, b.rows, b.first);
  }
  join_inputs(b.in.item_dense + static_cast<ptrdiff_t>(b.from) * s.item_dense,
              b.in.item_vector + static_cast<ptrdiff_t>(b.from) * s.item_vector, w + s.item_mean,
              w + s.item_scale, b.rows, s.item_dense, s.item_vector, b.x);
  const ptrdiff_t below = static_cast<ptrdiff_t>(b.user_width) * b.columns;
  MatrixProduct p = product(b.x, b.item_width, w + s.layer_one + below, b.columns);
  p.c = b.first;
  p.c_row = b.columns;
  p.m = b.rows;
  p.n = b.columns;
  p.k = b.item_width;
  p.relu_columns = b.hidden;
  p.accumulate = true;
  matrix_product(p);
}

// One dense layer for each of `blocks` independent inputs, ReLU.
inline Stack stacked_layer(const Stack& in, const float* weights, int blocks, int rows,
                           int out_width, float* out, bool by_row) {
  const int pad = padded(out_width);
  Stack result;
  result.values = out;
  result.row = by_row ? static_cast<ptrdiff_t>(blocks) * pad : pad;
  result.block = by_row ? pad : static_cast<ptrdiff_t>(rows) * pad;
  result.width = out_width;
  const ptrdiff_t stride = static_cast<ptrdiff_t>(in.width + 1) * pad;
  for (int e = 0; e < blocks; e++) {
    const float* w = weights + e * stride;
    MatrixProduct p = product(in.values + e * in.block, in.row, w, pad);
    p.bias = w + static_cast<ptrdiff_t>(in.width) * pad;
    p.c = out + e * result.block;
    p.c_row = result.row;
    p.m = rows;
    p.n = pad;
    p.k = in.width;
    p.relu_columns = pad;
    matrix_product(p);
  }
  return result;
}

inline Stack run_experts(const MmoeBlock& b) {
  const int pad = padded(b.s.expert_width[0]);
  Stack x{b.first, b.columns, pad, b.s.expert_width[0]};
  float* out = b.second;
  for (int l = 1; l < b.s.expert_layers; l++) {
    x = stacked_layer(x, b.in.weights + b.s.expert_offset[l], b.s.experts, b.rows,
                      b.s.expert_width[l], out, true);
    out = out == b.second ? b.third : b.second;
  }
  return x;
}

inline void write_column(const MmoeBlock& b, int head, const float* z) {
  float* out = b.in.out + static_cast<ptrdiff_t>(head) * b.in.rows + b.from;
  if (b.in.logits) {
    std::memcpy(out, z, sizeof(float) * b.rows);
    return;
  }
  if (b.s.seconds_heads >> head & 1) seconds_of(z, b.rows, out);
  else sigmoid(z, b.rows, out);
}

inline void write_heads(const MmoeBlock& b, Stack towers, const float* skips, ptrdiff_t skips_row) {
  const int pad = padded(towers.width);
  for (int h = 0; h < b.s.heads; h++) {
    const float* w = b.in.weights + b.s.output_offset + static_cast<ptrdiff_t>(h) * (pad + 16);
    dot_rows(w, towers.values + h * towers.block, b.rows, towers.width, towers.row, b.column);
    for (int r = 0; r < b.rows; r++) b.column[r] += w[pad] + skips[r * skips_row + h];
    write_column(b, h, b.column);
  }
}

inline void run_towers(const MmoeBlock& b, Stack x, float* spare) {
  const MmoeShape& s = b.s;
  float* buffers[2] = {spare, x.values};
  for (int l = 0; l < s.tower_layers; l++) {
    x = stacked_layer(x, b.in.weights + s.tower_offset[l], s.heads, b.rows, s.tower_width[l],
                      buffers[l % 2], false);
  }
  write_heads(b, x, b.first + b.hidden + s.heads * s.experts, b.columns);
}

inline GateShape gates_of(const MmoeBlock& b, const Stack& experts, ptrdiff_t logits_row) {
  GateShape g;
  g.rows = b.rows;
  g.heads = b.s.heads;
  g.experts = b.s.experts;
  g.width = padded(experts.width);
  g.logits_row = logits_row;
  g.experts_row = experts.row;
  g.expert_stride = experts.block;
  g.mixed_row = g.width;
  g.mixed_head = static_cast<ptrdiff_t>(b.rows) * g.width;
  return g;
}

inline void score_block(const MmoeBlock& b) {
  layer_one(b);
  const Stack experts = run_experts(b);
  float* mixed = experts.values == b.second ? b.third : b.second;
  const GateShape g = gates_of(b, experts, b.columns);
  gate_mix(g, b.first + b.hidden, experts.values, b.gates, mixed);
  float* spare = mixed == b.second ? b.third : b.second;
  run_towers(b, Stack{mixed, g.mixed_row, g.mixed_head, experts.width}, spare);
}

inline MmoeBlock divide_workspace(const MmoeShape& s, const MmoeInput& in) {
  const MmoeSizes z = mmoe_sizes(s);
  float* at = in.workspace;
  const auto take = [&at](size_t floats) {
    float* here = at;
    at += floats;
    return here;
  };
  // The members are made in this order.
  return MmoeBlock{s, in, 0, 0, s.user_dense + s.user_vector, s.item_dense + s.item_vector,
                   z.hidden, z.columns, take(z.inputs), take(z.user_sum), take(z.first),
                   take(z.wide), take(z.wide), take(z.gates), take(kMmoeRows)};
}

inline void mmoe_score(const MmoeShape& s, const MmoeInput& in) {
  MmoeBlock b = divide_workspace(s, in);
  if (in.user_rows == 1) layer_one_user(b, 0, 1, b.user_sum);
  for (int from = 0; from < in.rows; from += kMmoeRows) {
    b.from = from;
    b.rows = in.rows - from < kMmoeRows ? in.rows - from : kMmoeRows;
    score_block(b);
  }
}

// The fused score over weights packed as bf16: twice the multiply-adds of fp32 an instruction.
// Sums, biases, gates, mixing and outputs stay fp32; what enters a product is rounded to bf16, to
// nearest even. Denormals count as zero here. Packed form: see PackedPlaces in mmoe_sizes.h.
struct PackedProduct {
  const uint16_t* a;  // bf16; each row reads 2 * steps of them
  ptrdiff_t a_row;
  const float* panels;
  const float* start;  // one a column, readable up to a multiple of 32
  int m, n, steps;     // n is a multiple of 16; a step is two rows of B
  // The first rounded_columns columns, which pass through ReLU, go to `rounded`, the others to
  // `plain`.
  int relu_columns, rounded_columns;
  uint16_t* rounded;
  ptrdiff_t rounded_row;
  float* plain;
  ptrdiff_t plain_row;
};

// A panel: 32 columns of B, rows in pairs: [16 columns x 2 rows | the next 16 x 2] a step.
inline void pack_matrix(const float* b, ptrdiff_t b_row, int rows, int columns, float* out) {
  for (int j0 = 0; j0 < columns; j0 += kPanel) {
    for (int k = 0; k < rows; k += 2) {
      for (int j = j0; j < j0 + kPanel; j += kWidth, out += kWidth) {
        const int n = columns - j < kWidth ? columns - j : kWidth;
        const V low = n > 0 ? load_part(b + k * b_row + j, n) : zero();
        const V high = n > 0 && k + 1 < rows ? load_part(b + (k + 1) * b_row + j, n) : zero();
        const __m512i pair = _mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded(high)), 16);
        _mm512_storeu_si512(out, _mm512_or_si512(_mm512_cvtepu16_epi32(rounded(low)), pair));
      }
    }
  }
}

// The same layer of several blocks, each rows x pad(columns) with its bias behind; packed, the bias
// stands first.
inline void pack_layer(const float* from, int blocks, int rows, int columns, float* out) {
  const ptrdiff_t row = padded(columns);
  for (int e = 0; e < blocks; e++, from += (rows + 1) * row) {
    const float* bias = from + rows * row;
    for (int j = 0; j < panelled(columns); j++) out[j] = j < columns ? bias[j] : 0;
    out += panelled(columns);
    pack_matrix(from, row, rows, columns, out);
    out += panel_floats(rows, columns);
  }
}

template <int R, int N>
inline void packed_block(const PackedProduct& p, const uint16_t* a_from, const float* panel,
                         int row, int j0) {
  V sums[R][N];
#pragma GCC unroll 16
  for (int i = 0; i < R; i++) {
    for (int q = 0; q < N; q++) sums[i][q] = load(p.start + j0 + q * kWidth);
  }
  constexpr int kPointers = (R + 2) / 3;
  const uint16_t* a[kPointers];
  const ptrdiff_t a_row = p.a_row;
#pragma GCC unroll 16
  for (int i = 0; i < kPointers; i++) a[i] = a_from + 3 * i * a_row;
  for (int k = 0; k < p.steps; k++) {
    __m512bh columns[N];
    for (int q = 0; q < N; q++) columns[q] = (__m512bh)_mm512_loadu_si512(panel + q * kWidth);
#pragma GCC unroll 16
    for (int i = 0; i < R; i++) {
      int32_t pair;
      std::memcpy(&pair, a[i / 3] + (i % 3) * a_row, sizeof(pair));
      const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
      for (int q = 0; q < N; q++) sums[i][q].v = _mm512_dpbf16_ps(sums[i][q].v, x, columns[q]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kPointers; i++) a[i] += 2;
    panel += kPanel;
  }
  if (N == 2 && j0 + kPanel <= p.rounded_columns) {
    uint16_t* to = p.rounded + row * p.rounded_row + j0;
#pragma GCC unroll 16
    for (int i = 0; i < R; i++) {
      store(to + i * p.rounded_row, max(zero(), sums[i][0]), max(zero(), sums[i][N - 1]));
    }
    return;
  }
#pragma GCC unroll 2
  for (int q = 0; q < N; q++) {
    const int j = j0 + q * kWidth;
    const bool relu = j < p.relu_columns, rounded = j < p.rounded_columns;
#pragma GCC unroll 16
    for (int i = 0; i < R; i++) {
      const V x = relu ? max(zero(), sums[i][q]) : sums[i][q];
      const ptrdiff_t r = row + i;
      if (rounded) store(p.rounded + r * p.rounded_row + j, x);
      else store(p.plain + r * p.plain_row + j - p.rounded_columns, x);
    }
  }
}

template <int R, int N>
inline void packed_rest(const PackedProduct& p, const float* panel, int row, int j0) {
  if constexpr (R > 0) {
    if (p.m - row == R) packed_block<R, N>(p, p.a + row * p.a_row, panel, row, j0);
    else packed_rest<R - 1, N>(p, panel, row, j0);
  }
}

template <int N>
inline void packed_rows(const PackedProduct& p, const float* panel, int j0) {
  int row = 0;
  for (; row + kRows <= p.m; row += kRows) {
    packed_block<kRows, N>(p, p.a + row * p.a_row, panel, row, j0);
  }
  packed_rest<kRows - 1, N>(p, panel, row, j0);
}

inline void packed_product(const PackedProduct& p) {
  for (int j0 = 0; j0 < p.n; j0 += kPanel) {
    const float* panel = p.panels + static_cast<ptrdiff_t>(j0) * p.steps;
    if (p.n - j0 > kWidth) packed_rows<2>(p, panel, j0);
    else packed_rows<1>(p, panel, j0);
  }
}

// Writes the packed form behind the parameters of a slot.
inline void mmoe_pack(const MmoeShape& s, float* slot) {
  const PackedPlaces places = packed_places(s);
  const int columns = mmoe_sizes(s).columns, user = s.user_dense + s.user_vector;
  const float* below = slot + s.layer_one + static_cast<ptrdiff_t>(user) * columns;
  pack_matrix(below, columns, s.item_dense + s.item_vector, columns, slot + places.layer_one);
  int in = s.expert_width[0];
  for (int l = 1; l < s.expert_layers; l++) {
    pack_layer(slot + s.expert_offset[l], s.experts, in, s.expert_width[l],
               slot + places.expert[l]);
    in = s.expert_width[l];
  }
  for (int l = 0; l < s.tower_layers; l++) {
    pack_layer(slot + s.tower_offset[l], s.heads, in, s.tower_width[l], slot + places.tower[l]);
    in = s.tower_width[l];
  }
}

// Activations of a layer: bf16, or fp32 where the next step does not multiply them in bf16.
struct PackedStack {
  uint16_t* rounded;  // null: the values are in `plain`
  float* plain;
  ptrdiff_t row, block;  // strides between rows and between blocks
  int width;
};

// bf16 of [normalised dense | vector]; a row of odd width ends with a zero.
inline void round_inputs(const MmoeBlock& b, uint16_t* out, ptrdiff_t out_row) {
  const MmoeShape& s = b.s;
  const float* w = b.in.weights;
  normalise(b.in.item_dense + static_cast<ptrdiff_t>(b.from) * s.item_dense, w + s.item_mean,
            w + s.item_scale, kInputClip, b.rows, s.item_dense, out, out_row);
  for (int r = 0; r < b.rows; r++) {
    const float* vector = b.in.item_vector + static_cast<ptrdiff_t>(b.from + r) * s.item_vector;
    uint16_t* to = out + r * out_row + s.item_dense;
    int j = 0;
    for (; j + kWidth <= s.item_vector; j += kWidth) store(to + j, load(vector + j));
    const int rest = s.item_vector - j;
    if (rest > 0) store_part(to + j, load_part(vector + j, rest), rest);
    if (b.item_width < out_row) to[s.item_vector] = 0;
  }
}

// Layer one of all experts into `first`, of gates and skips behind it in fp32.
inline PackedStack packed_layer_one(const MmoeBlock& b, const float* panels, float* rest,
                                    ptrdiff_t rest_row) {
  const MmoeShape& s = b.s;
  const bool rounds = s.expert_layers > 1;
  PackedProduct p{};
  p.a_row = b.item_width + b.item_width % 2;
  uint16_t* x = reinterpret_cast<uint16_t*>(b.x);
  round_inputs(b, x, p.a_row);
  p.a = x;
  p.panels = panels;
  p.start = b.user_sum;
  p.m = b.rows;
  p.n = b.columns;
  p.steps = (b.item_width + 1) / 2;
  p.relu_columns = b.hidden;
  p.rounded_columns = rounds ? b.hidden : 0;
  p.rounded = reinterpret_cast<uint16_t*>(b.first);
  p.rounded_row = b.hidden;
  p.plain = rest;
  p.plain_row = rest_row;
  packed_product(p);
  const ptrdiff_t row = rounds ? b.hidden : rest_row;
  return {rounds ? p.rounded : nullptr, rest, row, padded(s.expert_width[0]), s.expert_width[0]};
}

struct PackedLayer {
  const float* weights;
  int blocks, width;
  bool rounds, by_row;
};

// One dense layer for each of the blocks, ReLU.
inline PackedStack packed_layer(const PackedStack& in, const PackedLayer& layer, int rows,
                                float* out) {
  const int pad = padded(layer.width), panel = panelled(layer.width);
  PackedStack result{};
  result.rounded = layer.rounds ? reinterpret_cast<uint16_t*>(out) : nullptr;
  result.plain = layer.rounds ? nullptr : out;
  result.row = layer.by_row ? static_cast<ptrdiff_t>(layer.blocks) * pad : pad;
  result.block = layer.by_row ? pad : static_cast<ptrdiff_t>(rows) * pad;
  result.width = layer.width;
  const ptrdiff_t stride = packed_layer_floats(in.width, layer.width);
  for (int e = 0; e < layer.blocks; e++) {
    PackedProduct p{};
    p.a = in.rounded + e * in.block;
    p.a_row = in.row;
    p.start = layer.weights + e * stride;
    p.panels = p.start + panel;
    p.m = rows;
    p.n = pad;
    p.steps = (in.width + 1) / 2;
    p.relu_columns = pad;
    p.rounded_columns = layer.rounds ? pad : 0;
    p.rounded = result.rounded + (layer.rounds ? e * result.block : 0);
    p.rounded_row = result.row;
    p.plain = result.plain + (layer.rounds ? 0 : e * result.block);
    p.plain_row = result.row;
    packed_product(p);
  }
  return result;
}

inline void score_packed_block(const MmoeBlock& b, const PackedPlaces& places) {
  const MmoeShape& s = b.s;
  const float* w = b.in.weights;
  // Behind the rounded part of layer one, or instead of it.
  const bool deep = s.expert_layers > 1;
  float* rest = b.first + (deep ? static_cast<ptrdiff_t>(b.rows) * b.hidden / 2 : 0);
  const ptrdiff_t rest_row = deep ? b.columns - b.hidden : b.columns;
  const float* logits = rest + (deep ? 0 : b.hidden);
  PackedStack x = packed_layer_one(b, w + places.layer_one, rest, rest_row);
  float *out = b.second, *other = b.third;
  for (int l = 1; l < s.expert_layers; l++) {
    const bool rounds = l + 1 < s.expert_layers;
    x = packed_layer(x, {w + places.expert[l], s.experts, s.expert_width[l], rounds, true}, b.rows,
                     out);
    std::swap(out, other);
  }
  const GateShape g = gates_of(b, Stack{x.plain, x.row, x.block, x.width}, rest_row);
  const PackedStack experts = x;
  x = {nullptr, out, g.mixed_row, g.mixed_head, experts.width};
  if (s.tower_layers > 0) {
    x.rounded = reinterpret_cast<uint16_t*>(out);
    gate_mix(g, logits, experts.plain, b.gates, x.rounded);
  } else {
    gate_mix(g, logits, experts.plain, b.gates, x.plain);
  }
  for (int l = 0; l < s.tower_layers; l++) {
    std::swap(out, other);
    const bool rounds = l + 1 < s.tower_layers;
    x = packed_layer(x, {w + places.tower[l], s.heads, s.tower_width[l], rounds, false}, b.rows,
                     out);
  }
  write_heads(b, Stack{x.plain, x.row, x.block, x.width}, logits + s.heads * s.experts, rest_row);
}

// in.weights is a whole slot, which mmoe_pack has filled; in.user_rows is 1.
inline void mmoe_score_packed(const MmoeShape& s, const MmoeInput& in) {
  MmoeBlock b = divide_workspace(s, in);
  const PackedPlaces places = packed_places(s);
  layer_one_user(b, 0, 1, b.user_sum);
  for (int from = 0; from < in.rows; from += kMmoeRows) {
    b.from = from;
    b.rows = in.rows - from < kMmoeRows ? in.rows - from : kMmoeRows;
    score_packed_block(b, places);
  }
}

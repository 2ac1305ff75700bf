// What the entry points of kernels have in common: each takes the instruction set first (0 base,
// 1 AVX2, 2 AVX-512, 3 with BF16), then arrays, then one Int32Array of sizes and strides, then
// floats.
#pragma once
#include "binding.h"
#include "kernels/table.h"

namespace rec {

inline const Kernels& set_of(Call& call) {
  const uint32_t set = call.u32(0, "instructionSet");
  if (static_cast<int>(set) > best_instruction_set()) {
    fail("REC_NATIVE_ARGUMENT", "this machine lacks the instruction set");
  }
  return kernels_of(static_cast<int>(set));
}

// Sizes and strides, each 0 to 2^31 - 1.
inline Span<int32_t> sizes(Call& call, size_t at, size_t count) {
  const Span<int32_t> found = call.array<int32_t>(at, "sizes", count);
  for (size_t i = 0; i < count; i++) {
    if (found.data[i] < 0) fail("REC_NATIVE_ARGUMENT", "a size or stride is negative");
  }
  return found;
}

// Floats that a strided matrix spans.
inline uint64_t span(uint64_t rows, uint64_t row, uint64_t columns, uint64_t column = 1) {
  return rows == 0 || columns == 0 ? 0 : (rows - 1) * row + (columns - 1) * column + 1;
}

inline float* floats(Call& call, size_t at, const char* name, uint64_t least) {
  return call.array<float>(at, name, least).data;
}

// Writes of one row must not reach into the next.
inline void check_row(int rows, ptrdiff_t row, int64_t width) {
  if (rows > 1 && row < width) fail("REC_NATIVE_ARGUMENT", "rows overlap: stride below width");
}

// Checks of a model's shape, the same for every kind of ranker.

template <class Shape>
void check_part(const Shape& s, int64_t from, int64_t floats) {
  if (from < 0 || floats < 0 || from + floats > s.floats) {
    fail("REC_NATIVE_ARGUMENT", "a part of the model lies outside its weights");
  }
}

inline void check_widths(const int* widths, int count) {
  for (int l = 0; l < count; l++) {
    if (widths[l] < 1 || widths[l] > 8192) fail("REC_NATIVE_ARGUMENT", "a layer's width");
  }
}

// `counts`: whether the numbers of heads, experts and layers are in range.
template <class Shape>
void check_sizes(const Shape& s, bool counts) {
  const bool inputs = s.user_dense <= 65536 && s.user_vector <= 65536 && s.item_dense <= 65536 &&
                      s.item_vector <= 65536;
  if (!counts || !inputs) fail("REC_NATIVE_ARGUMENT", "the model's shape is out of range");
  check_widths(s.expert_width, s.expert_layers);
  check_widths(s.tower_width, s.tower_layers);
}

// Moments and layer one, `columns` wide.
template <class Shape>
void check_inputs(const Shape& s, int64_t columns) {
  const int64_t inputs = s.user_dense + s.user_vector + s.item_dense + s.item_vector;
  check_part(s, s.user_mean, s.user_dense);
  check_part(s, s.user_scale, s.user_dense);
  check_part(s, s.item_mean, s.item_dense);
  check_part(s, s.item_scale, s.item_dense);
  check_part(s, s.layer_one, inputs * columns);
  check_part(s, s.layer_one_bias, columns);
}

// Towers on `in` inputs, and the outputs.
template <class Shape>
void check_towers(const Shape& s, int64_t in) {
  for (int l = 0; l < s.tower_layers; l++) {
    check_part(s, s.tower_offset[l], s.heads * (in + 1) * padded(s.tower_width[l]));
    in = s.tower_width[l];
  }
  check_part(s, s.output_offset, s.heads * (padded(static_cast<int>(in)) + 16));
}

// The arguments of a scoring call after its shape s.
template <class Shape>
MmoeInput score_input(Call& call, const Shape& s, size_t workspace) {
  const int32_t* n = sizes(call, 9, 3).data;
  const uint64_t user_rows = n[0], rows = n[1];
  if (user_rows != 1 && user_rows != rows) {
    fail("REC_NATIVE_ARGUMENT", "userRows is neither 1 nor rows");
  }
  MmoeInput in;
  in.user_rows = n[0];
  in.rows = n[1];
  in.logits = n[2] != 0;
  in.weights = floats(call, 2, "weights", s.floats);
  in.user_dense = floats(call, 3, "userDense", user_rows * s.user_dense);
  in.user_vector = floats(call, 4, "userVector", user_rows * s.user_vector);
  in.item_dense = floats(call, 5, "itemDense", rows * s.item_dense);
  in.item_vector = floats(call, 6, "itemVector", rows * s.item_vector);
  in.out = floats(call, 7, "out", rows * s.heads);
  in.workspace = floats(call, 8, "workspace", workspace);
  return in;
}

}  // namespace rec

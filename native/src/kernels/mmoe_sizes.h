// Widths and workspace that follow from a mixture's shape.
#pragma once
#include "table.h"

namespace rec {

// Rows scored at a time: 14 register blocks, whose activations stay in the second-level cache.
inline constexpr int kMmoeRows = 168;

struct MmoeSizes {
  int hidden, columns;
  size_t inputs, user_sum, first, wide, gates;
};

// A product over bf16 goes by panels of 32 columns.
inline int panelled(int columns) { return (columns + 31) / 32 * 32; }

// Where a slot keeps the packed form of its weights, in floats from the slot's start: panels of
// layer one's item half, and for each block of each later layer a bias a column, then its panels.
// What pads a bias or a panel is zero.
struct PackedPlaces {
  int layer_one;
  int expert[MmoeShape::layers_max], tower[MmoeShape::layers_max];
  int floats;  // of the whole slot
};

// Floats of the panels of a matrix: two rows share one.
inline int panel_floats(int rows, int columns) { return panelled(columns) * ((rows + 1) / 2); }
inline int packed_layer_floats(int rows, int columns) {
  return panelled(columns) + panel_floats(rows, columns);
}

inline PackedPlaces packed_places(const MmoeShape& s) {
  PackedPlaces p{};
  int at = padded(s.floats);
  const auto take = [&at](int floats) {
    const int here = at;
    at += floats;
    return here;
  };
  const int columns = s.experts * padded(s.expert_width[0]) + padded(s.heads * (s.experts + 1));
  p.layer_one = take(panel_floats(s.item_dense + s.item_vector, columns));
  int in = s.expert_width[0];
  for (int l = 1; l < s.expert_layers; l++) {
    p.expert[l] = take(s.experts * packed_layer_floats(in, s.expert_width[l]));
    in = s.expert_width[l];
  }
  for (int l = 0; l < s.tower_layers; l++) {
    p.tower[l] = take(s.heads * packed_layer_floats(in, s.tower_width[l]));
    in = s.tower_width[l];
  }
  p.floats = at;
  return p;
}

inline MmoeSizes mmoe_sizes(const MmoeShape& s) {
  MmoeSizes z;
  z.hidden = s.experts * padded(s.expert_width[0]);
  z.columns = z.hidden + padded(s.heads * s.experts + s.heads);
  const int user = s.user_dense + s.user_vector, item = s.item_dense + s.item_vector;
  z.inputs = static_cast<size_t>(kMmoeRows) * (user > item ? user : item);
  z.user_sum = panelled(z.columns);
  z.first = static_cast<size_t>(kMmoeRows) * z.columns;
  int widest = s.heads * padded(s.expert_width[s.expert_layers - 1]);
  for (int l = 1; l < s.expert_layers; l++) {
    const int width = s.experts * padded(s.expert_width[l]);
    widest = width > widest ? width : widest;
  }
  for (int l = 0; l < s.tower_layers; l++) {
    const int width = s.heads * padded(s.tower_width[l]);
    widest = width > widest ? width : widest;
  }
  z.wide = static_cast<size_t>(kMmoeRows) * widest;
  z.gates = static_cast<size_t>(kMmoeRows) * s.heads * s.experts;
  return z;
}

}  // namespace rec

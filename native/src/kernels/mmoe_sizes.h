// Widths and workspace that follow from a mixture's shape.
#pragma once
#include "table.h"

namespace rec {

// Rows scored at a time: 14 register blocks, whose activations stay in the second-level cache.
inline constexpr int kMmoeRows = 168;

struct MmoeSizes {
  int hidden, columns;
  size_t inputs, first, wide, gates;
};

inline MmoeSizes mmoe_sizes(const MmoeShape& s) {
  MmoeSizes z;
  z.hidden = s.experts * padded(s.expert_width[0]);
  z.columns = z.hidden + padded(s.heads * s.experts + s.heads);
  const int user = s.user_dense + s.user_vector, item = s.item_dense + s.item_vector;
  z.inputs = static_cast<size_t>(kMmoeRows) * (user > item ? user : item);
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

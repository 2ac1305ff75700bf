// Progressive layered extraction (Tang et al. 2020): shapes, and the workspace that follows.
#pragma once
#include "mmoe_sizes.h"
#include "table.h"

namespace rec {

struct LevelSizes {
  int experts, gates, seen, logits;
};

inline LevelSizes level_sizes(const PleShape& s, int level) {
  LevelSizes z;
  z.experts = s.heads * s.head_experts + s.shared_experts;
  z.gates = s.heads + (level < s.levels - 1 ? 1 : 0);
  z.seen = s.head_experts + s.shared_experts;
  z.logits = s.heads * z.seen + (level < s.levels - 1 ? z.experts : 0);
  return z;
}

struct PleSizes {
  int hidden, columns;
  size_t inputs, first, wide, gates;
};

inline PleSizes ple_sizes(const PleShape& s) {
  const LevelSizes level = level_sizes(s, 0);
  PleSizes z;
  z.hidden = level.experts * padded(s.expert_width[0]);
  z.columns = z.hidden + padded(level.logits + s.heads);
  const int user = s.user_dense + s.user_vector, item = s.item_dense + s.item_vector;
  z.inputs = static_cast<size_t>(kMmoeRows) * (user > item ? user : item);
  z.first = static_cast<size_t>(kMmoeRows) * z.columns;
  int widest = level.gates * padded(s.expert_width[s.expert_layers - 1]);
  for (int l = 0; l < s.expert_layers; l++) {
    const int width = level.experts * padded(s.expert_width[l]);
    widest = width > widest ? width : widest;
  }
  for (int l = 0; l < s.tower_layers; l++) {
    const int width = s.heads * padded(s.tower_width[l]);
    widest = width > widest ? width : widest;
  }
  z.wide = static_cast<size_t>(kMmoeRows) * widest;
  z.gates = static_cast<size_t>(kMmoeRows) * level.logits;
  return z;
}

}  // namespace rec

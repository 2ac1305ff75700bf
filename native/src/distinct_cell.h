// How many distinct values a pane saw: up to 32 of them are kept as they are, so that small counts
// are exact; from then on 128 registers of a HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007;
// standard error 9.2 %). Panes are merged when they are read: a value counts once a window. What
// comes out depends on which values each pane saw, not on their order.
//
//   cell   how many values, or kWide | 16 words: 32 values u32, or 128 registers u8
#pragma once
#include <cmath>
#include <vector>

#include "shared_memory.h"

namespace rec {

constexpr uint32_t kValuesMax = 32;
constexpr uint32_t kRegisters = 128;
constexpr uint32_t kRegisterBits = 7;
constexpr uint64_t kWide = 255;
constexpr uint32_t kCellWords = 1 + kRegisters / 8;
// The hash has 25 bits behind those that choose the register.
constexpr uint8_t kRankMax = 32 - kRegisterBits + 1;

// The finaliser of MurmurHash3: a bijection, so distinct rows never collide.
inline uint32_t mixed(uint32_t value) {
  value ^= value >> 16;
  value *= 0x85ebca6bu;
  value ^= value >> 13;
  value *= 0xc2b2ae35u;
  return value ^ value >> 16;
}

inline uint32_t register_of(uint32_t hash) { return hash & (kRegisters - 1); }

// Place of the first 1 bit of what is left of the hash.
inline uint8_t rank_of(uint32_t hash) {
  const uint32_t rest = hash >> kRegisterBits;
  return rest == 0 ? kRankMax : static_cast<uint8_t>(__builtin_ctz(rest) + 1);
}

inline void raise_register(uint64_t* cell, uint32_t value) {
  const uint32_t hash = mixed(value);
  uint8_t* at = reinterpret_cast<uint8_t*>(cell + 1) + register_of(hash);
  const uint8_t rank = rank_of(hash);
  if (load(at) < rank) store(at, rank);
}

inline void add_value(uint64_t* cell, uint32_t value) {
  const uint64_t count = load(cell);
  if (count == kWide) return raise_register(cell, value);
  auto* values = reinterpret_cast<uint32_t*>(cell + 1);
  for (uint64_t i = 0; i < count; i++) {
    if (load(values + i) == value) return;
  }
  if (count < kValuesMax) {
    store(values + count, value);
    store(cell, count + 1);
    return;
  }
  uint32_t kept[kValuesMax];
  for (uint32_t i = 0; i < kValuesMax; i++) kept[i] = load(values + i);
  for (uint32_t i = 1; i < kCellWords; i++) store(cell + i, uint64_t{0});
  store(cell, kWide);
  for (uint32_t i = 0; i < kValuesMax; i++) raise_register(cell, kept[i]);
  raise_register(cell, value);
}

// What a thread gathers into: it grows to the most that was ever needed, then stays.
struct DistinctScratch {
  std::vector<uint32_t> values;
  std::vector<uint32_t> places;
};

// Gathers copies of the cells of a window: of one row, or of one in several tables.
class DistinctUnion {
 public:
  explicit DistinctUnion(DistinctScratch& scratch)
      : values_(scratch.values), places_(scratch.places) {
    values_.clear();
  }

  void add(const uint64_t* cell) {
    if (*cell == 0) return;
    cells_++;
    if (*cell == kWide) return add_registers(cell);
    const size_t before = values_.size();
    values_.resize(before + *cell);
    memcpy(values_.data() + before, cell + 1, 4 * *cell);
  }

  double count() {
    if (wide_) {
      for (const uint32_t value : values_) {
        const uint32_t hash = mixed(value);
        uint8_t& at = registers_[register_of(hash)];
        if (at < rank_of(hash)) at = rank_of(hash);
      }
      return estimate();
    }
    return static_cast<double>(cells_ <= 1 ? values_.size() : distinct_values());
  }

 private:
  void add_registers(const uint64_t* cell) {
    wide_ = true;
    const auto* registers = reinterpret_cast<const uint8_t*>(cell + 1);
    for (uint32_t i = 0; i < kRegisters; i++) {
      if (registers_[i] < registers[i]) registers_[i] = registers[i];
    }
  }

  // Open addressing over at least twice as many places; 0 is empty, so values stand + 1.
  size_t distinct_values() {
    size_t places = 64;
    while (places < 2 * values_.size()) places *= 2;
    places_.assign(places, 0);
    size_t found = 0;
    for (const uint32_t value : values_) {
      size_t at = mixed(value) & (places - 1);
      while (places_[at] != 0 && places_[at] != value + 1) at = (at + 1) & (places - 1);
      if (places_[at] == 0) found++;
      places_[at] = value + 1;
    }
    return found;
  }

  // Whole, so that the last bit of a logarithm does not show.
  double estimate() const {
    double sum = 0;
    uint32_t zeros = 0;
    for (uint32_t i = 0; i < kRegisters; i++) {
      sum += std::ldexp(1.0, -registers_[i]);
      zeros += registers_[i] == 0;
    }
    constexpr double m = kRegisters;
    const double raw = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    const bool small = raw <= 2.5 * m && zeros > 0;
    return std::floor((small ? m * std::log(m / zeros) : raw) + 0.5);
  }

  std::vector<uint32_t>& values_;
  std::vector<uint32_t>& places_;
  uint8_t registers_[kRegisters] = {};
  uint32_t cells_ = 0;
  bool wide_ = false;
};

}  // namespace rec

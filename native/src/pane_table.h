// The rows of a pane table. A row is a slot of a cache line or a few, which is all that most rows
// ever need: with Zipf's law the median row sees a handful of events. What an event counted for is
// kept as a list of entries. A row that has more of them than its slot has room for gets a cache
// line beside; one with more than fit into both a full row in its place: for each window a ring of
// panes + 1 panes and the sum over the newest `panes` of them. The pane indices of a ring follow
// from the row's newest event time, so none is stored.
//
// Of more full rows than there is room for, those used least recently stand in a file: their slots
// say where (pane_room.h).
//
//   slot      sequence u32 | what it has beside u32 | time + 1 | offset + 1 | total | entries
//   beside    full row + 1; kOverflow | line of entries + 1; kSpilled | place in the file; or 0
//   full row  owner + 1 | sums[windows] | ring of window 0 | 1 | ...
//   entry     time / unit u32 | amount 18 bits | counter 6 | windows 8, 0 where there is none
//
// All words are 64 bits wide; sums, totals and panes hold two u32 counters a word, padded to even.
// Sums of u32 wrap and do not depend on the order of the events.
#pragma once
#include <mutex>

#include "shared_memory.h"
#include "spill_file.h"

namespace rec {

constexpr uint32_t kWindowsMax = 8;
constexpr uint32_t kCountersMax = 64;
constexpr uint32_t kPanesMax = 4096;
constexpr uint32_t kHeaderWords = 3;
constexpr uint32_t kEntriesLeast = 2;
constexpr uint32_t kOverflowWords = 8;
constexpr uint32_t kAmountBits = 18;
// Header, lanes, entries, up to a whole number of cache lines.
constexpr uint32_t kSlotWordsMax = (kHeaderWords + kCountersMax / 2 + kEntriesLeast + 7) & ~7u;
// Words of a saved row (pane_saved.cpp) that share a mask.
constexpr uint32_t kGroupWords = 16;
// Not a full row: the rest is the position of a record in the file.
constexpr uint32_t kSpilled = 0x80000000;
// Not a full row: the rest is the index of a line of entries + 1.
constexpr uint32_t kOverflow = 0x40000000;

struct Window {
  uint64_t pane_ms;
  int64_t panes;
  uint32_t units;    // of time, a pane
  uint32_t sum_at;   // word of the sum in a full row
  uint32_t ring_at;  // word of the ring in a full row
};

struct PaneTable {
  uint32_t rows = 0;
  uint32_t counters = 0;
  uint32_t window_count = 0;
  uint32_t lanes = 0;  // words of one pane
  uint32_t entries_at = 0;
  uint32_t slot_words = 0;
  uint32_t full_words = 0;
  uint32_t full_max = 0;
  uint64_t unit_ms = 0;  // divides all panes
  uint32_t used = 0;       // atomic: slots
  uint32_t full_used = 0;  // atomic: full rows
  uint32_t spare = 0;      // full row + 1 that nobody has
  uint32_t hand = 0;       // where the search for a row to give way goes on
  uint32_t sweep = 0;      // where the search for rows in the file that are over goes on
  uint32_t overflow_used = 0;  // lines of entries that were ever taken
  uint32_t overflow_free = 0;  // a line + 1 that nobody has; its first word names the next
  std::mutex giving;  // over full_used, spare, both hands, the file and the lines of entries
  SpillFile file;
  // Atomic: rows that gave up windows which could still be read, or whose record was damaged; went
  // to the file; came back; were over before they came back; reads that could not wait for one.
  uint64_t evicted = 0;
  uint64_t moved_out = 0;
  uint64_t brought_back = 0;
  uint64_t expired = 0;
  uint64_t unready = 0;
  Window windows[kWindowsMax];
  Region slots;
  Region full;
  Region overflow;

  uint64_t* slot_at(uint32_t row) const {
    return reinterpret_cast<uint64_t*>(slots.data()) + uint64_t{row} * slot_words;
  }
  uint32_t row_of(const uint64_t* slot) const {
    return static_cast<uint32_t>(static_cast<uint64_t>(slot - slot_at(0)) / slot_words);
  }
  uint64_t* full_at(uint32_t index) const {
    return reinterpret_cast<uint64_t*>(full.data()) + uint64_t{index} * full_words;
  }
  uint64_t* overflow_at(uint32_t index) const {
    return reinterpret_cast<uint64_t*>(overflow.data()) + uint64_t{index} * kOverflowWords;
  }
};

inline uint32_t* sequence_of(uint64_t* slot) { return reinterpret_cast<uint32_t*>(slot); }
inline uint32_t* beside_of(uint64_t* slot) { return reinterpret_cast<uint32_t*>(slot) + 1; }

inline bool is_spilled(uint32_t beside) { return (beside & kSpilled) != 0; }
inline bool is_overflow(uint32_t beside) { return (beside & (kSpilled | kOverflow)) == kOverflow; }
inline bool is_full(uint32_t beside) { return beside - 1 < kOverflow - 1; }

// What a slot has beside, or null. A racing reader may see any index that the table has given out.
inline uint64_t* full_of(const PaneTable& table, uint32_t beside) {
  return is_full(beside) ? table.full_at(beside - 1) : nullptr;
}
inline uint64_t* overflow_of(const PaneTable& table, uint32_t beside) {
  return is_overflow(beside) ? table.overflow_at((beside & ~kOverflow) - 1) : nullptr;
}

// What the file knows a full row by beside its owner: what it has taken in.
inline uint64_t tag_of(const uint64_t* slot) { return load(slot + 2); }

// The full row of a slot from the file into memory of this thread's own, or null. `beside`: what
// the slot says.
inline uint64_t* fetch_full(const PaneTable& table, const uint64_t* slot, uint32_t beside,
                            bool waits) {
  uint64_t* words = own_words<kComing>(table.full_words);
  if (words == nullptr) return nullptr;
  if (!table.file.read(beside & ~kSpilled, tag_of(slot), waits, words)) return nullptr;
  return words[0] == uint64_t{table.row_of(slot)} + 1 ? words : nullptr;
}

// Whether every pane of a row has left all windows as of `now`. `last` is its newest time + 1.
inline bool is_over(const PaneTable& table, uint64_t last, uint64_t now) {
  for (uint32_t w = 0; w < table.window_count; w++) {
    const Window& window = table.windows[w];
    const auto newest = static_cast<int64_t>((last - 1) / window.pane_ms);
    if (static_cast<int64_t>(now / window.pane_ms) - newest <= window.panes) return false;
  }
  return true;
}

// Bytes that a row takes at most when it is saved.
inline size_t saved_max(const PaneTable& table) {
  const auto most = [](size_t words) {
    return 8 * words + 2 * ((words + kGroupWords - 1) / kGroupWords);
  };
  const size_t full = most(table.full_words - 1);
  return most(table.slot_words) + (full > most(kOverflowWords) ? full : most(kOverflowWords));
}

inline void add_lane(uint64_t* words, uint32_t counter, uint32_t delta) {
  uint32_t* half = reinterpret_cast<uint32_t*>(words) + counter;
  store(half, load(half) + delta);
}

// Lane by lane, no carry from the low counter into the high one.
inline uint64_t plus(uint64_t a, uint64_t b) {
  return (((a >> 32) + (b >> 32)) << 32) | static_cast<uint32_t>(a + b);
}

inline uint64_t minus(uint64_t a, uint64_t b) {
  return (((a >> 32) - (b >> 32)) << 32) | static_cast<uint32_t>(a - b);
}

inline void prefetch_slot(const PaneTable& table, int32_t row) {
  const auto* from = table.slot_at(static_cast<uint32_t>(row));
  for (uint32_t at = 0; at < table.slot_words; at += 8) __builtin_prefetch(from + at);
}

// ---- entries ----

inline uint64_t entry_of(uint64_t unit, uint32_t amount, uint32_t counter, uint32_t windows) {
  return unit << 32 | uint64_t{amount} << 14 | counter << 8 | windows;
}
inline uint32_t entry_unit(uint64_t entry) { return static_cast<uint32_t>(entry >> 32); }
inline uint32_t entry_amount(uint64_t entry) {
  return static_cast<uint32_t>(entry >> 14) & ((1u << kAmountBits) - 1);
}
inline uint32_t entry_counter(uint64_t entry) { return (entry >> 8) & 63; }
inline uint32_t entry_windows(uint64_t entry) { return entry & 255; }
inline uint64_t entry_key(uint64_t entry) { return entry & ~(((1ull << kAmountBits) - 1) << 14); }

// The list of a row: what its slot has room for, then what its line has, where it has one.
struct Entries {
  uint64_t* own;
  uint32_t own_room;
  uint64_t* line;

  uint32_t room() const { return own_room + (line == nullptr ? 0 : kOverflowWords); }
  uint64_t* at(uint32_t i) const { return i < own_room ? own + i : line + (i - own_room); }
};

inline Entries entries_of(const PaneTable& table, uint64_t* slot, uint32_t beside) {
  return {slot + table.entries_at, table.slot_words - table.entries_at, overflow_of(table, beside)};
}

// ---- rings ----

// The pane with index `newest - age`, 0 <= age <= panes.
inline uint64_t* pane_at(const PaneTable& table, const Window& window, uint64_t* full,
                         int64_t newest, int64_t age) {
  const uint32_t ring = static_cast<uint32_t>(window.panes) + 1;
  int64_t at = static_cast<int64_t>(static_cast<uint64_t>(newest) % ring) - age;
  if (at < 0) at += ring;
  return full + window.ring_at + static_cast<uint64_t>(at) * table.lanes;
}

// Moves a window's newest pane forward: panes that leave are taken out of the sum.
inline void advance(const PaneTable& table, const Window& window, uint64_t* full, int64_t from,
                    int64_t to) {
  const uint32_t lanes = table.lanes;
  if (to - from > window.panes) {
    zero(full + window.sum_at, lanes);
    zero(full + window.ring_at, static_cast<uint64_t>(window.panes + 1) * lanes);
    return;
  }
  uint64_t* sum = full + window.sum_at;
  for (int64_t pane = from + 1; pane <= to; pane++) {
    const uint64_t* leaving = pane_at(table, window, full, pane, window.panes);
    for (uint32_t i = 0; i < lanes; i++) store(sum + i, minus(load(sum + i), load(leaving + i)));
    zero(pane_at(table, window, full, pane, 0), lanes);
  }
}

inline void add_to_ring(const PaneTable& table, const Window& window, uint64_t* full,
                        uint32_t counter, uint32_t delta, int64_t newest, int64_t age) {
  add_lane(pane_at(table, window, full, newest, age), counter, delta);
  if (age < window.panes) add_lane(full + window.sum_at, counter, delta);
}

}  // namespace rec

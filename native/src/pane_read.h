// Reading the windows of pane-table rows as of a time.
#pragma once
#include "pane_table.h"

namespace rec {

struct AsOf {
  double time;
  int64_t pane[kWindowsMax];
  uint64_t start[kWindowsMax];  // first millisecond of that pane, + 1
};

inline AsOf as_of(const PaneTable& table, double time) {
  AsOf result;
  result.time = time;
  for (uint32_t w = 0; w < table.window_count; w++) {
    const uint64_t pane_ms = table.windows[w].pane_ms;
    const uint64_t pane = time < 0 ? 0 : static_cast<uint64_t>(time) / pane_ms;
    result.pane[w] = time < 0 ? -1 : static_cast<int64_t>(pane);
    result.start[w] = pane * pane_ms + 1;
  }
  return result;
}

template <class Combine>
void fold(const PaneTable& table, const Window& window, uint64_t* full, uint64_t* out,
          int64_t newest, int64_t age_from, int64_t age_to, Combine combine) {
  for (int64_t age = age_from; age <= age_to; age++) {
    const uint64_t* pane = pane_at(table, window, full, newest, age);
    for (uint32_t i = 0; i < table.lanes; i++) out[i] = combine(out[i], load(pane + i));
  }
}

// The window as of a pane other than the row's newest one.
inline void read_moved(const PaneTable& table, const Window& window, uint64_t* full, uint64_t* out,
                int64_t newest, int64_t ahead) {
  const int64_t panes = window.panes;
  for (uint32_t i = 0; i < table.lanes; i++) out[i] = 0;
  if (ahead >= panes || ahead < -panes) return;
  if (ahead > 0 && ahead <= panes / 2) {
    // Fewer panes have left than stayed: take those out of the sum.
    for (uint32_t i = 0; i < table.lanes; i++) out[i] = load(full + window.sum_at + i);
    fold(table, window, full, out, newest, panes - ahead, panes - 1, minus);
    return;
  }
  const int64_t youngest = ahead < 0 ? -ahead : 0;
  const int64_t oldest = ahead < 0 ? panes : panes - 1 - ahead;
  fold(table, window, full, out, newest, youngest, oldest, plus);
}

inline void read_full(const PaneTable& table, uint64_t* full, uint64_t last, const AsOf& at,
               uint64_t* out) {
  for (uint32_t w = 0; w < table.window_count; w++) {
    const Window& window = table.windows[w];
    uint64_t* values = out + uint64_t{w} * table.lanes;
    if (at.pane[w] < 0 || last == 0) {
      for (uint32_t i = 0; i < table.lanes; i++) values[i] = 0;
    } else if (last - at.start[w] < window.pane_ms) {
      for (uint32_t i = 0; i < table.lanes; i++) values[i] = load(full + window.sum_at + i);
    } else {
      const auto newest = static_cast<int64_t>((last - 1) / window.pane_ms);
      read_moved(table, window, full, values, newest, at.pane[w] - newest);
    }
  }
}

// Units [from, to) that a window holds as of a time, of those that a row keeps.
struct Units {
  int64_t from;
  int64_t to;
};

inline Units units_of(const Window& window, uint64_t last, int64_t pane) {
  int64_t oldest = pane - window.panes + 1;
  const auto end = static_cast<uint64_t>(pane + 2) * window.pane_ms;
  if (last > end) {
    // The row's newest event is from later panes: what it keeps begins later as well.
    const auto kept = static_cast<int64_t>((last - 1) / window.pane_ms) - window.panes;
    if (kept > oldest) oldest = kept;
  }
  return {oldest * window.units, (pane + 1) * window.units};
}

inline void read_entries(const PaneTable& table, const Entries& entries, uint64_t last,
                         const AsOf& at, uint64_t* out) {
  for (uint32_t i = 0; i < table.window_count * table.lanes; i++) out[i] = 0;
  if (load(entries.own) == 0) return;
  Units units[kWindowsMax];
  for (uint32_t w = 0; w < table.window_count; w++) {
    units[w] = units_of(table.windows[w], last, at.pane[w]);
  }
  for (uint32_t i = 0; i < entries.room(); i++) {
    const uint64_t entry = load(entries.at(i));
    if (entry == 0) return;
    const int64_t unit = entry_unit(entry);
    for (uint32_t w = 0; w < table.window_count; w++) {
      if ((entry_windows(entry) >> w & 1) == 0) continue;
      if (unit < units[w].from || unit >= units[w].to) continue;
      const uint32_t counter = entry_counter(entry);
      uint64_t* values = out + uint64_t{w} * table.lanes + counter / 2;
      *values = plus(*values, uint64_t{entry_amount(entry)} << (counter & 1) * 32);
    }
  }
}

// Windows and total of one row into `out` ((windows + 1) x lanes words); returns offset + 1. A row
// whose words are in the file and not at hand is as before its first update.
inline uint64_t read_row(PaneTable& table, uint64_t* slot, const AsOf& at, bool waits,
                         uint64_t* out) {
  const uint64_t last = load(slot + 1);
  const uint32_t beside = load(beside_of(slot));
  uint64_t* full =
      is_spilled(beside) ? fetch_full(table, slot, beside, waits) : full_of(table, beside);
  if (full == nullptr && is_spilled(beside)) {
    for (uint32_t i = 0; i < (table.window_count + 1) * table.lanes; i++) out[i] = 0;
    count_one(&table.unready);
    return 0;
  }
  if (full == nullptr) {
    read_entries(table, entries_of(table, slot, beside), last, at, out);
  } else {
    read_full(table, full, last, at, out);
  }
  uint64_t* total = out + uint64_t{table.window_count} * table.lanes;
  for (uint32_t i = 0; i < table.lanes; i++) total[i] = load(slot + kHeaderWords + i);
  return load(slot + 2);
}

// A line of entries, or the sums of a full row and the panes of windows whose newest pane is not
// current.
inline void prefetch_beside(const PaneTable& table, uint32_t row, const AsOf& at) {
  uint64_t* slot = table.slot_at(row);
  const uint32_t beside = load(beside_of(slot));
  if (is_overflow(beside)) __builtin_prefetch(overflow_of(table, beside));
  uint64_t* full = full_of(table, beside);
  const uint64_t last = load(slot + 1);
  if (full == nullptr || last == 0) return;
  for (uint32_t w = 0; w < table.window_count; w++) {
    const Window& window = table.windows[w];
    __builtin_prefetch(full + window.sum_at);
    if (last - at.start[w] < window.pane_ms) continue;
    const auto newest = static_cast<int64_t>((last - 1) / window.pane_ms);
    const int64_t ahead = at.pane[w] - newest;
    if (ahead <= 0 || ahead >= window.panes) continue;
    const bool by_leaving = ahead <= window.panes / 2;
    const int64_t from = by_leaving ? window.panes - ahead : 0;
    const int64_t to = by_leaving ? window.panes - 1 : window.panes - 1 - ahead;
    __builtin_prefetch(pane_at(table, window, full, newest, from));
    __builtin_prefetch(pane_at(table, window, full, newest, to));
  }
}

inline void unpack(const PaneTable& table, const uint64_t* lanes, uint32_t* out) {
  for (uint32_t w = 0; w <= table.window_count; w++) {
    memcpy(out + uint64_t{w} * table.counters, lanes + uint64_t{w} * table.lanes,
           4 * table.counters);
  }
}

struct Rows {
  const int32_t* rows;
  size_t count;
  double as_of_ms;
  bool waits;  // for the disk
};

inline void read_rows(PaneTable& table, const Rows& of, uint32_t* out, double* offsets_out) {
  constexpr size_t kAhead = 12;
  constexpr size_t kBesideAhead = 5;
  const auto [rows, count, as_of_ms, waits] = of;
  const AsOf at = as_of(table, as_of_ms);
  const size_t width = size_t{table.window_count + 1} * table.counters;
  for (size_t i = 0; i < count; i++) {
    if (i + kAhead < count && rows[i + kAhead] >= 0) prefetch_slot(table, rows[i + kAhead]);
    if (i + kBesideAhead < count && rows[i + kBesideAhead] >= 0) {
      prefetch_beside(table, static_cast<uint32_t>(rows[i + kBesideAhead]), at);
    }
    uint64_t offset = 0;
    if (rows[i] < 0) {
      memset(out + i * width, 0, 4 * width);
    } else {
      uint64_t lanes[(kWindowsMax + 1) * kCountersMax / 2];
      uint64_t* slot = table.slot_at(static_cast<uint32_t>(rows[i]));
      read_consistent(sequence_of(slot),
                      [&] { offset = read_row(table, slot, at, waits, lanes); });
      unpack(table, lanes, out + i * width);
    }
    if (offsets_out != nullptr) offsets_out[i] = static_cast<double>(offset) - 1;
  }
}

}  // namespace rec

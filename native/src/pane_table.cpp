// Sliding-window counters. For each window a row holds a ring of panes + 1 panes and the sum over
// the newest `panes` of them; the pane indices follow from the row's newest event time, so none is
// stored. All words are 64 bits wide (two u32 counters each); u32 sums wrap and do not depend on
// the order of the events.
//
//   sequence u32 | 0 | time + 1 | offset + 1 | sums[windows] | total | ring of window 0 | 1 | ...
//   `------- header: 3 words -------'          each sum, total and pane: counters, padded to even
#include <cmath>
#include <memory>
#include <new>

#include "shared_memory.h"

namespace rec {
namespace {

constexpr uint32_t kWindowsMax = 8;
constexpr uint32_t kCountersMax = 64;
constexpr uint32_t kPanesMax = 4096;
constexpr uint32_t kHeaderWords = 3;
constexpr double kTimeMax = 4503599627370496.0;  // 2^52

struct Window {
  uint64_t pane_ms;
  int64_t panes;
  uint32_t sum_at;   // word of the sum
  uint32_t ring_at;  // word of the ring
};

struct PaneTable {
  uint32_t rows = 0;
  uint32_t counters = 0;
  uint32_t window_count = 0;
  uint32_t lanes = 0;  // words of one pane
  uint32_t total_at = 0;
  uint32_t row_words = 0;
  uint32_t used = 0;  // atomic
  Window windows[kWindowsMax];
  Region region;

  uint64_t* row_at(uint32_t row) const {
    return reinterpret_cast<uint64_t*>(region.data()) + uint64_t{row} * row_words;
  }
};

uint32_t* sequence_of(uint64_t* row) { return reinterpret_cast<uint32_t*>(row); }

void add_lane(uint64_t* words, uint32_t counter, uint32_t delta) {
  uint64_t* word = words + counter / 2;
  uint32_t halves[2];
  const uint64_t old = load(word);
  memcpy(halves, &old, 8);
  halves[counter & 1] += delta;
  uint64_t changed;
  memcpy(&changed, halves, 8);
  store(word, changed);
}

// Lane by lane, no carry from the low counter into the high one.
uint64_t plus(uint64_t a, uint64_t b) {
  return (((a >> 32) + (b >> 32)) << 32) | static_cast<uint32_t>(a + b);
}

uint64_t minus(uint64_t a, uint64_t b) {
  return (((a >> 32) - (b >> 32)) << 32) | static_cast<uint32_t>(a - b);
}

// The pane with index `newest - age`, 0 <= age <= panes.
uint64_t* pane_at(const PaneTable& table, const Window& window, uint64_t* row, int64_t newest,
                  int64_t age) {
  const int64_t ring = window.panes + 1;
  int64_t slot = newest % ring - age;
  if (slot < 0) slot += ring;
  return row + window.ring_at + static_cast<uint64_t>(slot) * table.lanes;
}

void zero(uint64_t* words, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) store(words + i, uint64_t{0});
}

// Moves a window's newest pane forward: panes that leave are taken out of the sum.
void advance(const PaneTable& table, const Window& window, uint64_t* row, int64_t from,
             int64_t to) {
  const uint32_t lanes = table.lanes;
  if (to - from > window.panes) {
    zero(row + window.sum_at, lanes);
    zero(row + window.ring_at, static_cast<uint64_t>(window.panes + 1) * lanes);
    return;
  }
  uint64_t* sum = row + window.sum_at;
  for (int64_t pane = from + 1; pane <= to; pane++) {
    const uint64_t* leaving = pane_at(table, window, row, pane, window.panes);
    for (uint32_t i = 0; i < lanes; i++) store(sum + i, minus(load(sum + i), load(leaving + i)));
    zero(pane_at(table, window, row, pane, 0), lanes);
  }
}

struct Update {
  uint32_t counter;
  uint32_t delta;
  uint64_t time;
  double watermark_ms;
};

// Counts the update in one window; false when it came too late for it.
bool count_in(const PaneTable& table, const Window& window, uint64_t* row, const Update& update,
              int64_t newest) {
  const int64_t pane = static_cast<int64_t>(update.time / window.pane_ms);
  const int64_t age = newest - pane;
  const double pane_end = static_cast<double>((pane + 1) * static_cast<int64_t>(window.pane_ms));
  if (pane_end <= update.watermark_ms || age > window.panes) return false;
  add_lane(pane_at(table, window, row, newest, age), update.counter, update.delta);
  if (age < window.panes) add_lane(row + window.sum_at, update.counter, update.delta);
  return true;
}

void apply_one(const PaneTable& table, uint64_t* row, const Update& update, uint32_t* late_out) {
  const uint64_t last = load(row + 1);
  const uint64_t newest_time = last > update.time + 1 ? last - 1 : update.time;
  for (uint32_t w = 0; w < table.window_count; w++) {
    const Window& window = table.windows[w];
    const int64_t newest = static_cast<int64_t>(newest_time / window.pane_ms);
    if (last != 0 && newest_time >= last) {
      const int64_t before = static_cast<int64_t>((last - 1) / window.pane_ms);
      if (newest > before) advance(table, window, row, before, newest);
    }
    if (!count_in(table, window, row, update, newest)) late_out[w]++;
  }
  REC_RACE_POINT();
  add_lane(row + table.total_at, update.counter, update.delta);
  store(row + 1, newest_time + 1);
}

bool valid(const PaneTable& table, const rec_pane_updates& updates) {
  for (size_t i = 0; i < updates.count; i++) {
    const double offset = updates.offsets[i];
    if (!row_in(updates.rows[i], table.rows) || updates.counters[i] >= table.counters ||
        !(updates.times[i] >= 0 && updates.times[i] <= kTimeMax) ||
        !(offset == -1 || is_index(offset))) {
      return false;
    }
  }
  return !std::isnan(updates.watermark_ms);
}

// ---- reading ----

struct AsOf {
  double time;
  int64_t pane[kWindowsMax];
  uint64_t start[kWindowsMax];  // first millisecond of that pane, + 1
};

AsOf as_of(const PaneTable& table, double time) {
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
void fold(const PaneTable& table, const Window& window, uint64_t* row, uint64_t* out,
          int64_t newest, int64_t age_from, int64_t age_to, Combine combine) {
  for (int64_t age = age_from; age <= age_to; age++) {
    const uint64_t* pane = pane_at(table, window, row, newest, age);
    for (uint32_t i = 0; i < table.lanes; i++) out[i] = combine(out[i], load(pane + i));
  }
}

// The window as of a pane other than the row's newest one.
void read_moved(const PaneTable& table, const Window& window, uint64_t* row, uint64_t* out,
                int64_t newest, int64_t ahead) {
  const int64_t panes = window.panes;
  for (uint32_t i = 0; i < table.lanes; i++) out[i] = 0;
  if (ahead >= panes || ahead < -panes) return;
  if (ahead > 0 && ahead <= panes / 2) {
    // Fewer panes have left than stayed: take those out of the sum.
    for (uint32_t i = 0; i < table.lanes; i++) out[i] = load(row + window.sum_at + i);
    fold(table, window, row, out, newest, panes - ahead, panes - 1, minus);
    return;
  }
  const int64_t youngest = ahead < 0 ? -ahead : 0;
  const int64_t oldest = ahead < 0 ? panes : panes - 1 - ahead;
  fold(table, window, row, out, newest, youngest, oldest, plus);
}

// Windows and total of one row into `out` ((windows + 1) x lanes words); returns offset + 1.
uint64_t read_row(const PaneTable& table, uint64_t* row, const AsOf& at, uint64_t* out) {
  const uint64_t last = load(row + 1);
  for (uint32_t w = 0; w < table.window_count; w++) {
    const Window& window = table.windows[w];
    uint64_t* values = out + uint64_t{w} * table.lanes;
    if (last - at.start[w] < window.pane_ms && at.pane[w] >= 0) {
      for (uint32_t i = 0; i < table.lanes; i++) values[i] = load(row + window.sum_at + i);
    } else if (last == 0 || at.pane[w] < 0) {
      for (uint32_t i = 0; i < table.lanes; i++) values[i] = 0;
    } else {
      const int64_t newest = static_cast<int64_t>((last - 1) / window.pane_ms);
      read_moved(table, window, row, values, newest, at.pane[w] - newest);
    }
  }
  uint64_t* total = out + uint64_t{table.window_count} * table.lanes;
  for (uint32_t i = 0; i < table.lanes; i++) total[i] = load(row + table.total_at + i);
  return load(row + 2);
}

// The part of a row that every read touches: header, sums, total.
void prefetch_row(const PaneTable& table, uint32_t row) {
  const auto* from = reinterpret_cast<const uint8_t*>(table.row_at(row));
  const uint32_t bytes = 8 * (table.total_at + table.lanes);
  for (uint32_t at = 0; at < bytes; at += 64) __builtin_prefetch(from + at);
  __builtin_prefetch(from + bytes - 1);
}

// The panes of windows whose newest pane is not current, once the header is in the cache.
void prefetch_panes(const PaneTable& table, uint32_t row, const AsOf& at) {
  uint64_t* words = table.row_at(row);
  const uint64_t last = load(words + 1);
  if (last == 0) return;
  for (uint32_t w = 0; w < table.window_count; w++) {
    const Window& window = table.windows[w];
    if (last - at.start[w] < window.pane_ms) continue;
    const int64_t newest = static_cast<int64_t>((last - 1) / window.pane_ms);
    const int64_t ahead = at.pane[w] - newest;
    if (ahead <= 0 || ahead >= window.panes) continue;
    const bool by_leaving = ahead <= window.panes / 2;
    const int64_t from = by_leaving ? window.panes - ahead : 0;
    const int64_t to = by_leaving ? window.panes - 1 : window.panes - 1 - ahead;
    __builtin_prefetch(pane_at(table, window, words, newest, from));
    __builtin_prefetch(pane_at(table, window, words, newest, to));
  }
}

void unpack(const PaneTable& table, const uint64_t* lanes, uint32_t* out) {
  for (uint32_t w = 0; w <= table.window_count; w++) {
    memcpy(out + uint64_t{w} * table.counters, lanes + uint64_t{w} * table.lanes,
           4 * table.counters);
  }
}

void read_rows(const PaneTable& table, const int32_t* rows, size_t count, double as_of_ms,
               uint32_t* out, double* offsets_out) {
  constexpr size_t kAhead = 12;
  constexpr size_t kPanesAhead = 5;
  const AsOf at = as_of(table, as_of_ms);
  const size_t width = size_t{table.window_count + 1} * table.counters;
  for (size_t i = 0; i < count; i++) {
    if (i + kAhead < count && rows[i + kAhead] >= 0) {
      prefetch_row(table, static_cast<uint32_t>(rows[i + kAhead]));
    }
    if (i + kPanesAhead < count && rows[i + kPanesAhead] >= 0) {
      prefetch_panes(table, static_cast<uint32_t>(rows[i + kPanesAhead]), at);
    }
    uint64_t offset = 0;
    if (rows[i] < 0) {
      memset(out + i * width, 0, 4 * width);
    } else {
      uint64_t lanes[(kWindowsMax + 1) * kCountersMax / 2];
      uint64_t* row = table.row_at(static_cast<uint32_t>(rows[i]));
      read_consistent(sequence_of(row), [&] { offset = read_row(table, row, at, lanes); });
      unpack(table, lanes, out + i * width);
    }
    if (offsets_out != nullptr) offsets_out[i] = static_cast<double>(offset) - 1;
  }
}

bool lay_out(PaneTable& table, const rec_window* windows) {
  table.lanes = (table.counters + 1) / 2;
  table.total_at = kHeaderWords + table.window_count * table.lanes;
  uint32_t at = table.total_at + table.lanes;
  for (uint32_t w = 0; w < table.window_count; w++) {
    if (windows[w].pane_ms == 0 || windows[w].panes == 0 || windows[w].panes > kPanesMax) {
      return false;
    }
    table.windows[w] = {windows[w].pane_ms, windows[w].panes, kHeaderWords + w * table.lanes, at};
    at += (windows[w].panes + 1) * table.lanes;
  }
  table.row_words = at;
  return true;
}

PaneTable* table_of(int32_t handle) { return lookup<PaneTable>(handle, kPaneTable); }

}  // namespace
}  // namespace rec

using rec::PaneTable;

int32_t rec_pane_table_create(uint32_t rows, uint32_t counters, const rec_window* windows,
                              uint32_t window_count) {
  if (rows == 0 || rows > INT32_MAX || counters == 0 || counters > rec::kCountersMax ||
      window_count == 0 || window_count > rec::kWindowsMax) {
    return REC_BAD_ARGUMENT;
  }
  std::unique_ptr<PaneTable> table(new (std::nothrow) PaneTable());
  if (!table) return REC_NO_MEMORY;
  table->rows = rows;
  table->counters = counters;
  table->window_count = window_count;
  if (!rec::lay_out(*table, windows)) return REC_BAD_ARGUMENT;
  if (!table->region.reserve_dense(size_t{8} * table->row_words * rows)) return REC_NO_MEMORY;
  return rec::adopt(rec::kPaneTable, table.release());
}

int32_t rec_pane_table_shape(int32_t handle, uint32_t* shape) {
  const PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  shape[0] = table->rows;
  shape[1] = table->counters;
  shape[2] = table->window_count;
  shape[3] = 8 * table->row_words;
  return REC_OK;
}

int32_t rec_pane_table_window(int32_t handle, uint32_t index, rec_window* out) {
  const PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (index >= table->window_count) return REC_BAD_ARGUMENT;
  out->pane_ms = static_cast<uint32_t>(table->windows[index].pane_ms);
  out->panes = static_cast<uint32_t>(table->windows[index].panes);
  return REC_OK;
}

int64_t rec_pane_table_apply(int32_t handle, const rec_pane_updates* updates, uint32_t* late_out,
                             size_t late_length) {
  constexpr size_t kAhead = 8;
  PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (late_length < table->window_count || !rec::valid(*table, *updates)) return REC_BAD_ARGUMENT;
  int64_t applied = 0;
  memset(late_out, 0, 4 * table->window_count);
  for (size_t i = 0; i < updates->count; i++) {
    if (i + kAhead < updates->count) {
      rec::prefetch_row(*table, static_cast<uint32_t>(updates->rows[i + kAhead]));
    }
    const uint32_t index = static_cast<uint32_t>(updates->rows[i]);
    uint64_t* row = table->row_at(index);
    const uint32_t even = rec::begin_write(rec::sequence_of(row));
    const double offset = updates->offsets[i];
    const bool fresh = offset < 0 || static_cast<uint64_t>(offset) + 1 > rec::load(row + 2);
    if (fresh) {
      if (offset >= 0) rec::store(row + 2, static_cast<uint64_t>(offset) + 1);
      rec::apply_one(*table, row,
                     {updates->counters[i], updates->deltas[i],
                      static_cast<uint64_t>(updates->times[i]), updates->watermark_ms},
                     late_out);
      applied++;
    }
    rec::end_write(rec::sequence_of(row), even);
    rec::raise_to(&table->used, index + 1);
  }
  return applied;
}

int32_t rec_pane_table_read(int32_t handle, const int32_t* rows, size_t count, double as_of_ms,
                            uint32_t* out, size_t out_length, double* offsets_out,
                            size_t offsets_length) {
  const PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const size_t width = size_t{table->window_count + 1} * table->counters;
  if (out_length / width < count || (offsets_out != nullptr && offsets_length < count) ||
      !(std::abs(as_of_ms) <= rec::kTimeMax) || !rec::rows_in(rows, count, table->rows)) {
    return REC_BAD_ARGUMENT;
  }
  rec::read_rows(*table, rows, count, as_of_ms, out, offsets_out);
  return REC_OK;
}

int32_t rec_pane_table_save(int32_t handle, uint32_t first, uint32_t count, uint8_t* out,
                            size_t out_length) {
  const PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const size_t row_bytes = size_t{8} * table->row_words;
  if (!rec::range_in(first, count, table->rows) || out_length / row_bytes < count) {
    return REC_BAD_ARGUMENT;
  }
  for (uint32_t i = 0; i < count; i++) {
    uint64_t* row = table->row_at(first + i);
    uint8_t* to = out + i * row_bytes;
    rec::read_consistent(rec::sequence_of(row),
                         [&] { rec::copy_out(to + 8, row + 1, table->row_words - 1); });
    memset(to, 0, 8);
  }
  return REC_OK;
}

int32_t rec_pane_table_load(int32_t handle, uint32_t first, uint32_t count, const uint8_t* data,
                            size_t data_length) {
  PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const size_t row_bytes = size_t{8} * table->row_words;
  if (!rec::range_in(first, count, table->rows) || data_length / row_bytes < count) {
    return REC_BAD_ARGUMENT;
  }
  for (uint32_t i = 0; i < count; i++) {
    uint64_t header[rec::kHeaderWords];
    memcpy(header, data + i * row_bytes, sizeof header);
    if (header[1] > (1ull << 52) + 1 || header[2] > (1ull << 53) + 1) return REC_BAD_ARGUMENT;
  }
  for (uint32_t i = 0; i < count; i++) {
    uint64_t* row = table->row_at(first + i);
    const uint32_t even = rec::begin_write(rec::sequence_of(row));
    rec::copy_in(row + 1, data + i * row_bytes + 8, table->row_words - 1);
    rec::end_write(rec::sequence_of(row), even);
  }
  if (count > 0) rec::raise_to(&table->used, first + count);
  return REC_OK;
}

int32_t rec_pane_table_clear(int32_t handle) {
  PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const uint32_t used = rec::load(&table->used);
  for (uint32_t i = 0; i < used; i++) {
    uint64_t* row = table->row_at(i);
    const uint32_t even = rec::begin_write(rec::sequence_of(row));
    rec::zero(row + 1, table->row_words - 1);
    rec::end_write(rec::sequence_of(row), even);
  }
  return REC_OK;
}

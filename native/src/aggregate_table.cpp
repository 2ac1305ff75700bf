// Aggregates that are no sums of panes: decayed counts, largest values, distinct values. A row of
// the pool holds the state of each.
//
//   row       the pool's | time + 1 | offset + 1 | state of aggregate 0 | 1 | ...
//   decayed   value as float64 bits | time + 1 that it is as of
//   max       a ring of panes + 1 words, one for the whole life
//   distinct  a ring of panes + 1 cells (distinct_cell.h), one for the whole life
//
// Rings follow the row's newest event time, as in pane_table.h. A decayed count has no panes and so
// no late events: an event counts as much as is left of it.
#include <cmath>
#include <memory>
#include <new>
#include <vector>

#include "distinct_cell.h"
#include "row_pool.h"

namespace rec {
namespace {

constexpr uint32_t kAggregatesMax = 64;
constexpr uint32_t kRingPanesMax = 64;
constexpr uint32_t kHeaderWords = 3;
constexpr size_t kTablesMax = 64;

struct Aggregate {
  uint32_t kind;
  uint32_t counter;
  uint32_t source;
  uint64_t pane_ms;  // 0: the whole life
  int64_t panes;
  double half_life_ms;
  uint32_t at;         // word of the row
  uint32_t ring;       // cells
  uint32_t cell_words;

  bool has_panes() const { return kind != REC_DECAYED && pane_ms > 0; }
  int64_t pane(uint64_t time) const { return static_cast<int64_t>(time / pane_ms); }
};

struct AggregateTable {
  uint32_t rows = 0;
  uint32_t row_words = 0;
  uint32_t mask_words = 0;  // of a saved row: a bit for each of its words
  std::vector<Aggregate> aggregates;
  RowPool pool;
};

// Where a row of those to come stands, then, once that is in the cache, its header.
void prefetch(const AggregateTable& table, const int32_t* rows, size_t left) {
  constexpr size_t kSlotAhead = 16;
  constexpr size_t kHeaderAhead = 8;
  if (left > kSlotAhead && rows[kSlotAhead] >= 0) {
    table.pool.prefetch_slot(static_cast<uint32_t>(rows[kSlotAhead]));
  }
  if (left <= kHeaderAhead || rows[kHeaderAhead] < 0) return;
  const uint64_t* row = table.pool.in_memory(static_cast<uint32_t>(rows[kHeaderAhead]));
  if (row != nullptr) __builtin_prefetch(row, 1);
}

// A copy of a row between two updates, without the word that is the pool's; zeros where it is not
// at hand.
void copy_row(AggregateTable& table, uint32_t row, bool waits, uint64_t* to) {
  const bool is_there = table.pool.read(row, waits, [&](uint64_t* words) {
    copy_out(to + 1, words + 1, table.row_words - 1);
  });
  if (!is_there) memset(to, 0, size_t{8} * table.row_words);
  to[0] = 0;
}

double double_of(uint64_t bits) {
  double value;
  memcpy(&value, &bits, 8);
  return value;
}

uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, 8);
  return bits;
}

uint64_t* cell_at(const Aggregate& aggregate, uint64_t* row, int64_t pane) {
  const uint64_t place = static_cast<uint64_t>(pane) % aggregate.ring;
  return row + aggregate.at + place * aggregate.cell_words;
}

// ---- applying ----

struct Update {
  uint32_t counter;
  uint32_t source;
  uint32_t value;
  uint64_t time;
  double watermark_ms;
};

// Clears the panes that come in when a row's newest time goes from one to the other.
void advance(const Aggregate& aggregate, uint64_t* row, uint64_t from, uint64_t to) {
  const int64_t last = aggregate.pane(to);
  int64_t pane = aggregate.pane(from) + 1;
  if (last - pane >= aggregate.ring) pane = last - aggregate.ring + 1;
  for (; pane <= last; pane++) {
    uint64_t* cell = cell_at(aggregate, row, pane);
    for (uint32_t i = 0; i < aggregate.cell_words; i++) store(cell + i, uint64_t{0});
  }
}

// The state is moved to the later of both times, so the order of events does not matter but for the
// last bits.
void add_decayed(const Aggregate& aggregate, uint64_t* state, const Update& update) {
  const uint64_t last = load(state + 1);
  const double value = double_of(load(state));
  const double then = static_cast<double>(last) - 1;
  const auto time = static_cast<double>(update.time);
  double sum = update.value;
  if (last > 0 && time > then) {
    sum += value * std::exp2((then - time) / aggregate.half_life_ms);
  } else if (last > 0) {
    sum = value + sum * std::exp2((time - then) / aggregate.half_life_ms);
  }
  store(state, bits_of(sum));
  if (update.time + 1 > last) store(state + 1, update.time + 1);
}

void add_to_cell(const Aggregate& aggregate, uint64_t* cell, uint32_t value) {
  if (aggregate.kind == REC_DISTINCT) return add_value(cell, value);
  if (load(cell) < value) store(cell, uint64_t{value});
}

// False where the update came too late.
bool take(const Aggregate& aggregate, uint64_t* row, const Update& update, uint64_t newest) {
  if (aggregate.kind == REC_DECAYED) {
    add_decayed(aggregate, row + aggregate.at, update);
    return true;
  }
  if (!aggregate.has_panes()) {
    add_to_cell(aggregate, row + aggregate.at, update.value);
    return true;
  }
  const int64_t pane = aggregate.pane(update.time);
  const auto pane_end = static_cast<double>((pane + 1) * static_cast<int64_t>(aggregate.pane_ms));
  if (pane_end <= update.watermark_ms) return false;
  if (aggregate.pane(newest) - pane > aggregate.panes) return false;
  add_to_cell(aggregate, cell_at(aggregate, row, pane), update.value);
  return true;
}

void apply_one(const AggregateTable& table, uint64_t* row, const Update& update,
               uint32_t* late_out) {
  const uint64_t last = load(row + 1);
  const uint64_t newest = last > update.time + 1 ? last - 1 : update.time;
  for (uint32_t a = 0; a < table.aggregates.size(); a++) {
    const Aggregate& aggregate = table.aggregates[a];
    if (last > 0 && newest >= last && aggregate.has_panes()) {
      advance(aggregate, row, last - 1, newest);
    }
    if (aggregate.counter != update.counter || aggregate.source != update.source) continue;
    if (!take(aggregate, row, update, newest)) late_out[a]++;
    REC_RACE_POINT();
  }
  store(row + 1, newest + 1);
}

bool valid(const AggregateTable& table, const rec_aggregate_updates& updates) {
  for (size_t i = 0; i < updates.count; i++) {
    const double offset = updates.offsets[i];
    if (!row_in(updates.rows[i], table.rows) || updates.values[i] == UINT32_MAX ||
        !(updates.times[i] >= 0 && updates.times[i] <= kTimeMax) ||
        !(offset == -1 || is_index(offset))) {
      return false;
    }
  }
  return !std::isnan(updates.watermark_ms);
}

// ---- reading: from copies of the row in each table, taken between two updates ----

// What a copy keeps of the panes in (p - panes, p], p the pane of `time`.
template <class Take>
void for_cells(const Aggregate& aggregate, const uint64_t* row, double time, Take take) {
  if (!aggregate.has_panes()) return take(row + aggregate.at);
  if (row[1] == 0 || time < 0) return;
  const int64_t newest = aggregate.pane(row[1] - 1);
  const int64_t end = aggregate.pane(static_cast<uint64_t>(time));
  int64_t from = end - aggregate.panes + 1;
  if (from < newest - aggregate.panes) from = newest - aggregate.panes;
  if (from < 0) from = 0;
  for (int64_t pane = from; pane <= end && pane <= newest; pane++) {
    take(row + aggregate.at + static_cast<uint64_t>(pane) % aggregate.ring * aggregate.cell_words);
  }
}

// Rows of one shape, one after the other.
struct Copies {
  const uint64_t* words;
  size_t tables;
  uint32_t row_words;

  const uint64_t* row(size_t table) const { return words + table * row_words; }
};

// As of the newest event of all copies, where that is later.
double read_decayed(const Aggregate& aggregate, const Copies& copies, double time) {
  for (size_t t = 0; t < copies.tables; t++) {
    const uint64_t last = copies.row(t)[aggregate.at + 1];
    if (last > 0 && static_cast<double>(last) - 1 > time) time = static_cast<double>(last) - 1;
  }
  double sum = 0;
  for (size_t t = 0; t < copies.tables; t++) {
    const uint64_t* state = copies.row(t) + aggregate.at;
    if (state[1] == 0) continue;
    const double passed = time - (static_cast<double>(state[1]) - 1);
    sum += double_of(state[0]) * std::exp2(-passed / aggregate.half_life_ms);
  }
  return sum;
}

double read_distinct(const Aggregate& aggregate, const Copies& copies, double time) {
  thread_local DistinctScratch scratch;
  DistinctUnion distinct(scratch);
  for (size_t t = 0; t < copies.tables; t++) {
    for_cells(aggregate, copies.row(t), time, [&](const uint64_t* cell) { distinct.add(cell); });
  }
  return distinct.count();
}

double read_max(const Aggregate& aggregate, const Copies& copies, double time) {
  uint64_t most = 0;
  for (size_t t = 0; t < copies.tables; t++) {
    for_cells(aggregate, copies.row(t), time, [&](const uint64_t* cell) {
      if (most < *cell) most = *cell;
    });
  }
  return static_cast<double>(most);
}

double read_one(const Aggregate& aggregate, const Copies& copies, double time) {
  if (aggregate.kind == REC_DECAYED) return read_decayed(aggregate, copies, time);
  if (aggregate.kind == REC_DISTINCT) return read_distinct(aggregate, copies, time);
  return read_max(aggregate, copies, time);
}

// ---- shape ----

bool lay_out(AggregateTable& table, const rec_aggregate* aggregates, uint32_t count) {
  uint32_t at = kHeaderWords;
  for (uint32_t i = 0; i < count; i++) {
    const rec_aggregate& one = aggregates[i];
    const bool decays = one.kind == REC_DECAYED;
    if (one.kind > REC_DISTINCT || decays != (one.half_life_ms > 0) ||
        !std::isfinite(one.half_life_ms) || one.panes > kRingPanesMax ||
        (one.pane_ms == 0) != (one.panes == 0) || (decays && one.panes > 0)) {
      return false;
    }
    const uint32_t cell = decays ? 2 : one.kind == REC_DISTINCT ? kCellWords : 1;
    const uint32_t ring = one.panes == 0 ? 1 : one.panes + 1;
    table.aggregates.push_back({one.kind, one.counter, one.source, one.pane_ms, one.panes,
                                one.half_life_ms, at, ring, cell});
    at += ring * cell;
  }
  table.row_words = (at + 7) & ~7u;
  table.mask_words = (table.row_words + 63) / 64;
  return true;
}

// Whether rows of both mean the same.
bool alike(const AggregateTable& a, const AggregateTable& b) {
  if (a.rows != b.rows || a.aggregates.size() != b.aggregates.size()) return false;
  for (size_t i = 0; i < a.aggregates.size(); i++) {
    const Aggregate& one = a.aggregates[i];
    const Aggregate& other = b.aggregates[i];
    if (one.kind != other.kind || one.counter != other.counter || one.source != other.source ||
        one.pane_ms != other.pane_ms || one.panes != other.panes ||
        one.half_life_ms != other.half_life_ms) {
      return false;
    }
  }
  return true;
}

// ---- saved rows: a bit for each word that is not 0, then those words ----

// Whether the words of a saved row can be one of this table.
bool loadable(const AggregateTable& table, const uint64_t* words) {
  if (words[0] != 0 || words[1] > (1ull << 52) + 1 || words[2] > (1ull << 53) + 1) return false;
  for (const Aggregate& aggregate : table.aggregates) {
    const uint64_t* state = words + aggregate.at;
    if (aggregate.kind == REC_DECAYED) {
      if (!std::isfinite(double_of(state[0])) || state[1] > (1ull << 52) + 1) return false;
    }
    if (aggregate.kind != REC_DISTINCT) continue;
    for (uint32_t i = 0; i < aggregate.ring; i++) {
      const uint64_t* cell = state + uint64_t{i} * aggregate.cell_words;
      if (cell[0] > kValuesMax && cell[0] != kWide) return false;
      const auto* registers = reinterpret_cast<const uint8_t*>(cell + 1);
      for (uint32_t r = 0; cell[0] == kWide && r < kRegisters; r++) {
        if (registers[r] > kRankMax) return false;
      }
    }
  }
  return true;
}

// The words of the saved row at `from`; bytes that it takes, 0 where it is of another shape.
size_t unpack(const AggregateTable& table, const uint8_t* from, size_t left, uint64_t* words) {
  if (left < size_t{8} * table.mask_words) return 0;
  size_t at = size_t{8} * table.mask_words;
  for (uint32_t w = 0; w < table.row_words; w++) {
    uint64_t mask;
    memcpy(&mask, from + 8 * (w / 64), 8);
    words[w] = 0;
    if ((mask >> (w % 64) & 1) == 0) continue;
    if (left < at + 8) return 0;
    memcpy(words + w, from + at, 8);
    at += 8;
  }
  return loadable(table, words) ? at : 0;
}

size_t pack(const AggregateTable& table, const uint64_t* words, uint8_t* to) {
  size_t at = size_t{8} * table.mask_words;
  memset(to, 0, at);
  for (uint32_t w = 0; w < table.row_words; w++) {
    if (words[w] == 0) continue;
    to[w / 8] |= static_cast<uint8_t>(1u << (w % 8));
    memcpy(to + at, words + w, 8);
    at += 8;
  }
  return at;
}

AggregateTable* table_of(int32_t handle) {
  return lookup<AggregateTable>(handle, kAggregateTable);
}

}  // namespace
}  // namespace rec

using rec::AggregateTable;

int32_t rec_aggregate_table_create(uint32_t rows, const rec_aggregate* aggregates,
                                   uint32_t count, uint32_t rows_in_memory) {
  if (rows == 0 || rows > INT32_MAX || count == 0 || count > rec::kAggregatesMax ||
      rows_in_memory == 0) {
    return REC_BAD_ARGUMENT;
  }
  std::unique_ptr<AggregateTable> table(new (std::nothrow) AggregateTable());
  if (!table) return REC_NO_MEMORY;
  table->rows = rows;
  if (!rec::lay_out(*table, aggregates, count)) return REC_BAD_ARGUMENT;
  if (!table->pool.reserve(rows, table->row_words, rows_in_memory)) return REC_NO_MEMORY;
  return rec::adopt(rec::kAggregateTable, table.release());
}

int32_t rec_aggregate_table_shape(int32_t handle, uint32_t* shape) {
  const AggregateTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  shape[0] = table->rows;
  shape[1] = static_cast<uint32_t>(table->aggregates.size());
  shape[2] = 8 * (table->mask_words + table->row_words);
  shape[3] = 8 * table->row_words;
  return REC_OK;
}

int32_t rec_aggregate_table_open_file(int32_t handle, const char* path, uint32_t records_max) {
  AggregateTable* table = rec::table_of(handle);
  return table == nullptr ? REC_BAD_HANDLE : table->pool.open_file(path, records_max);
}

int32_t rec_aggregate_table_usage(int32_t handle, double* usage) {
  const AggregateTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  table->pool.usage(usage);
  return REC_OK;
}

int64_t rec_aggregate_table_apply(int32_t handle, const rec_aggregate_updates* updates,
                                  uint32_t* late_out, size_t late_length) {
  AggregateTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (late_length < table->aggregates.size() || !rec::valid(*table, *updates)) {
    return REC_BAD_ARGUMENT;
  }
  int64_t applied = 0;
  memset(late_out, 0, 4 * table->aggregates.size());
  for (size_t i = 0; i < updates->count; i++) {
    rec::prefetch(*table, updates->rows + i, updates->count - i);
    const rec::RowPool::Hold held(table->pool, static_cast<uint32_t>(updates->rows[i]));
    uint64_t* row = held.words();
    const double offset = updates->offsets[i];
    if (offset >= 0) {
      if (static_cast<uint64_t>(offset) + 1 <= rec::load(row + 2)) continue;
      rec::store(row + 2, static_cast<uint64_t>(offset) + 1);
    }
    rec::apply_one(*table, row,
                   {updates->counters[i], updates->sources[i], updates->values[i],
                    static_cast<uint64_t>(updates->times[i]), updates->watermark_ms},
                   late_out);
    applied++;
  }
  return applied;
}

int32_t rec_aggregate_table_read(const int32_t* handles, size_t tables, const int32_t* rows,
                                 size_t count, double as_of_ms, int32_t waits, double* out,
                                 size_t out_length, double* offsets_out, size_t offsets_length) {
  if (tables == 0 || tables > rec::kTablesMax) return REC_BAD_ARGUMENT;
  AggregateTable* all[rec::kTablesMax];
  for (size_t t = 0; t < tables; t++) {
    all[t] = rec::table_of(handles[t]);
    if (all[t] == nullptr) return REC_BAD_HANDLE;
    if (!rec::alike(*all[0], *all[t])) return REC_BAD_ARGUMENT;
  }
  const AggregateTable& shape = *all[0];
  const size_t width = shape.aggregates.size();
  if (out_length / width < count ||
      (offsets_out != nullptr && offsets_length / tables < count) ||
      !(std::abs(as_of_ms) <= rec::kTimeMax) || !rec::rows_in(rows, count, shape.rows)) {
    return REC_BAD_ARGUMENT;
  }
  thread_local std::vector<uint64_t> words;
  words.resize(tables * shape.row_words);
  const rec::Copies copies = {words.data(), tables, shape.row_words};
  for (size_t i = 0; i < count; i++) {
    rec::prefetch(shape, rows + i, count - i);
    for (size_t t = 0; t < tables; t++) {
      uint64_t* copy = words.data() + t * shape.row_words;
      if (rows[i] < 0) {
        memset(copy, 0, size_t{8} * shape.row_words);
      } else {
        rec::copy_row(*all[t], static_cast<uint32_t>(rows[i]), waits != 0, copy);
      }
      if (offsets_out != nullptr) offsets_out[t * count + i] = static_cast<double>(copy[2]) - 1;
    }
    for (size_t a = 0; a < width; a++) {
      out[i * width + a] = rec::read_one(shape.aggregates[a], copies, as_of_ms);
    }
  }
  return REC_OK;
}

int64_t rec_aggregate_table_save(int32_t handle, uint32_t first, uint32_t count, uint8_t* out,
                                 size_t out_length) {
  AggregateTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const size_t row_bytes = size_t{8} * (table->mask_words + table->row_words);
  if (!rec::range_in(first, count, table->rows) || out_length / row_bytes < count) {
    return REC_BAD_ARGUMENT;
  }
  std::vector<uint64_t> words(table->row_words);
  size_t at = 0;
  for (uint32_t i = 0; i < count; i++) {
    rec::copy_row(*table, first + i, true, words.data());
    at += rec::pack(*table, words.data(), out + at);
  }
  return static_cast<int64_t>(at);
}

int64_t rec_aggregate_table_load(int32_t handle, uint32_t first, const uint8_t* data,
                                 size_t data_length) {
  AggregateTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  std::vector<uint64_t> words(table->row_words);
  uint32_t count = 0;
  for (size_t at = 0; at < data_length; count++) {
    const size_t taken = rec::unpack(*table, data + at, data_length - at, words.data());
    if (taken == 0 || !rec::range_in(first, count + 1, table->rows)) return REC_BAD_ARGUMENT;
    at += taken;
  }
  size_t at = 0;
  for (uint32_t i = 0; i < count; i++) {
    at += rec::unpack(*table, data + at, data_length - at, words.data());
    const rec::RowPool::Hold held(table->pool, first + i);
    rec::copy_in(held.words() + 1, words.data() + 1, table->row_words - 1);
  }
  return count;
}

int32_t rec_aggregate_table_clear(int32_t handle) {
  AggregateTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  table->pool.clear();
  return REC_OK;
}

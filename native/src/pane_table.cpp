// Sliding-window counters: see pane_table.h for the rows.
#include "pane_table.h"

#include <cmath>
#include <memory>
#include <new>
#include <numeric>

#include "pane_read.h"

namespace rec {
namespace {

// Full rows that are looked at to find the one that was used least recently.
constexpr uint32_t kLookedAt = 32;

// ---- applying ----

struct Update {
  uint32_t counter;
  uint32_t delta;
  uint64_t time;
  double watermark_ms;
};

// Where the newest event of a row and an update lie, window by window.
struct Places {
  uint64_t newest_time;
  int64_t newest[kWindowsMax];
  int64_t age[kWindowsMax];
  uint32_t windows;  // those that take the update
};

// Pane of a time; most times fall into the pane of the one before.
class PaneClock {
 public:
  uint64_t pane(const Window& window, uint64_t time) {
    if (time - start_ >= window.pane_ms) {
      pane_ = time / window.pane_ms;
      start_ = pane_ * window.pane_ms;
    }
    return pane_;
  }

 private:
  uint64_t start_ = ~uint64_t{0};
  uint64_t pane_ = 0;
};

struct Clocks {
  PaneClock update[kWindowsMax];
  PaneClock newest[kWindowsMax];
};

Places place(const PaneTable& table, Clocks& clocks, uint64_t last, const Update& update,
             uint32_t* late_out) {
  Places places;
  places.newest_time = last > update.time + 1 ? last - 1 : update.time;
  places.windows = 0;
  for (uint32_t w = 0; w < table.window_count; w++) {
    const Window& window = table.windows[w];
    const auto pane = static_cast<int64_t>(clocks.update[w].pane(window, update.time));
    const auto newest = static_cast<int64_t>(clocks.newest[w].pane(window, places.newest_time));
    places.newest[w] = newest;
    places.age[w] = newest - pane;
    const auto pane_end = static_cast<double>((pane + 1) * static_cast<int64_t>(window.pane_ms));
    if (pane_end <= update.watermark_ms || places.age[w] > window.panes) {
      late_out[w]++;
    } else {
      places.windows |= 1u << w;
    }
  }
  return places;
}

// True while some window that the entry counts in still keeps its pane.
bool is_kept(const PaneTable& table, uint64_t entry, const Places& places) {
  for (uint32_t w = 0; w < table.window_count; w++) {
    if ((entry_windows(entry) >> w & 1) == 0) continue;
    const int64_t pane = entry_unit(entry) / table.windows[w].units;
    if (places.newest[w] - pane <= table.windows[w].panes) return true;
  }
  return false;
}

// Entries that nothing can read any more make room; returns how many are left.
uint32_t drop_expired(const PaneTable& table, uint64_t* entries, uint32_t count,
                      const Places& places) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < count; i++) {
    const uint64_t entry = load(entries + i);
    if (is_kept(table, entry, places)) store(entries + kept++, entry);
  }
  zero(entries + kept, count - kept);
  return kept;
}

// False where the update does not fit into the list.
bool add_entry(const PaneTable& table, uint64_t* slot, const Update& update,
               const Places& places) {
  if (update.delta == 0 || places.windows == 0) return true;
  const uint64_t unit = update.time / table.unit_ms;
  if (unit >> 32 || update.delta >> kAmountBits) return false;
  const uint64_t added = entry_of(unit, update.delta, update.counter, places.windows);
  uint64_t* entries = slot + table.entries_at;
  const uint32_t room = table.slot_words - table.entries_at;
  uint32_t count = 0;
  for (; count < room; count++) {
    const uint64_t entry = load(entries + count);
    if (entry == 0) break;
    if (entry_key(entry) != entry_key(added)) continue;
    const uint32_t amount = entry_amount(entry) + update.delta;
    if (amount >> kAmountBits) continue;
    store(entries + count, entry_of(unit, amount, update.counter, places.windows));
    return true;
  }
  if (count == room) count = drop_expired(table, entries, count, places);
  if (count == room) return false;
  store(entries + count, added);
  return true;
}

// Whether every pane of a row has left all windows as of `places`.
bool is_over(const PaneTable& table, uint64_t last, const Places& places) {
  for (uint32_t w = 0; w < table.window_count; w++) {
    const Window& window = table.windows[w];
    const auto newest = static_cast<int64_t>((last - 1) / window.pane_ms);
    if (places.newest[w] - newest <= window.panes) return false;
  }
  return true;
}

// Takes the full row away from its owner, who keeps its total; false while another thread writes
// the owner.
bool take_from_owner(PaneTable& table, uint32_t index, const Places& places) {
  const uint64_t owner = load(table.full_at(index));
  if (owner == 0) return true;
  uint64_t* slot = table.slot_at(static_cast<uint32_t>(owner - 1));
  uint32_t even = 0;
  if (!try_begin_write(sequence_of(slot), even)) return false;
  if (load(full_index_of(slot)) == index + 1) {
    if (!is_over(table, load(slot + 1), places)) {
      __atomic_fetch_add(&table.evicted, 1, __ATOMIC_RELAXED);
    }
    store(full_index_of(slot), 0u);
    zero(slot + table.entries_at, table.slot_words - table.entries_at);
  }
  end_write(sequence_of(slot), even);
  return true;
}

// The newest event time of a full row's owner; 0 where it has none.
uint64_t last_used(const PaneTable& table, uint32_t index) {
  const uint64_t owner = load(table.full_at(index));
  return owner == 0 ? 0 : load(table.slot_at(static_cast<uint32_t>(owner - 1)) + 1);
}

// Of the next full rows that is given up whose row was used least recently. Index + 1, or 0.
uint32_t give_way(PaneTable& table, const Places& places) {
  for (uint32_t attempt = 0; attempt < 4; attempt++) {
    uint32_t best = table.full_max;
    uint64_t best_time = 0;
    for (uint32_t i = 0; i < kLookedAt; i++) {
      const uint32_t index = table.hand;
      table.hand = table.hand + 1 == table.full_max ? 0 : table.hand + 1;
      const uint64_t time = last_used(table, index);
      if (best != table.full_max && time >= best_time) continue;
      best = index;
      best_time = time;
    }
    if (best != table.full_max && take_from_owner(table, best, places)) return best + 1;
  }
  return 0;
}

// Gives a row a full row that holds what its entries say. Null where all are taken for good.
uint64_t* widen(PaneTable& table, uint64_t* slot, const Places& places) {
  std::lock_guard<std::mutex> lock(table.giving);
  uint32_t index = 0;
  if (table.full_used < table.full_max) {
    index = table.full_used + 1;
    store(&table.full_used, index);
  } else {
    index = give_way(table, places);
  }
  if (index == 0) return nullptr;
  uint64_t* full = table.full_at(index - 1);
  zero(full, table.full_words);
  const uint64_t row = static_cast<uint64_t>(slot - table.slot_at(0)) / table.slot_words;
  store(full, row + 1);
  uint64_t* entries = slot + table.entries_at;
  for (uint32_t i = 0; i < table.slot_words - table.entries_at; i++) {
    const uint64_t entry = load(entries + i);
    for (uint32_t w = 0; w < table.window_count; w++) {
      if ((entry_windows(entry) >> w & 1) == 0) continue;
      const int64_t pane = entry_unit(entry) / table.windows[w].units;
      const int64_t age = places.newest[w] - pane;
      if (age > table.windows[w].panes) continue;
      add_to_ring(table, table.windows[w], full, entry_counter(entry), entry_amount(entry),
                  places.newest[w], age);
    }
  }
  zero(entries, table.slot_words - table.entries_at);
  store(full_index_of(slot), index);
  return full;
}

void apply_one(PaneTable& table, Clocks& clocks, uint64_t* slot, const Update& update,
               uint32_t* late_out) {
  const uint64_t last = load(slot + 1);
  const Places places = place(table, clocks, last, update, late_out);
  uint64_t* full = full_of(table, slot);
  if (full == nullptr) {
    if (!add_entry(table, slot, update, places)) {
      full = widen(table, slot, places);
      if (full == nullptr) __atomic_fetch_add(&table.evicted, 1, __ATOMIC_RELAXED);
    }
  } else if (places.newest_time >= last) {
    for (uint32_t w = 0; w < table.window_count; w++) {
      const auto before = static_cast<int64_t>((last - 1) / table.windows[w].pane_ms);
      if (places.newest[w] > before) {
        advance(table, table.windows[w], full, before, places.newest[w]);
      }
    }
  }
  if (full != nullptr) {
    for (uint32_t w = 0; w < table.window_count; w++) {
      if ((places.windows >> w & 1) == 0) continue;
      add_to_ring(table, table.windows[w], full, update.counter, update.delta, places.newest[w],
                  places.age[w]);
    }
  }
  REC_RACE_POINT();
  add_lane(slot + kHeaderWords, update.counter, update.delta);
  store(slot + 1, places.newest_time + 1);
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

// What an update of a full row touches, once its slot is in the cache.
void prefetch_full(const PaneTable& table, Clocks& clocks, const rec_pane_updates& updates,
                   size_t i) {
  uint64_t* slot = table.slot_at(static_cast<uint32_t>(updates.rows[i]));
  uint64_t* full = full_of(table, slot);
  if (full == nullptr) return;
  const auto time = static_cast<uint64_t>(updates.times[i]);
  for (uint32_t w = 0; w < table.window_count; w++) {
    const Window& window = table.windows[w];
    const auto pane = static_cast<int64_t>(clocks.update[w].pane(window, time));
    __builtin_prefetch(full + window.sum_at + updates.counters[i] / 2, 1);
    __builtin_prefetch(pane_at(table, window, full, pane, 0) + updates.counters[i] / 2, 1);
  }
}

bool lay_out(PaneTable& table, const rec_window* windows) {
  table.lanes = (table.counters + 1) / 2;
  table.entries_at = kHeaderWords + table.lanes;
  table.slot_words = (table.entries_at + kEntriesLeast + 7) & ~7u;
  for (uint32_t w = 0; w < table.window_count; w++) {
    if (windows[w].pane_ms == 0 || windows[w].panes == 0 || windows[w].panes > kPanesMax) {
      return false;
    }
    table.unit_ms = std::gcd(table.unit_ms, uint64_t{windows[w].pane_ms});
  }
  uint32_t at = 1 + table.window_count * table.lanes;
  for (uint32_t w = 0; w < table.window_count; w++) {
    const uint64_t pane_ms = windows[w].pane_ms;
    table.windows[w] = {pane_ms, windows[w].panes,
                        static_cast<uint32_t>(pane_ms / table.unit_ms), 1 + w * table.lanes, at};
    at += (windows[w].panes + 1) * table.lanes;
  }
  table.full_words = at;
  return true;
}

PaneTable* table_of(int32_t handle) { return lookup<PaneTable>(handle, kPaneTable); }

}  // namespace
}  // namespace rec

using rec::PaneTable;

int32_t rec_pane_table_create(uint32_t rows, uint32_t counters, const rec_window* windows,
                              uint32_t window_count, uint32_t full_rows) {
  if (rows == 0 || rows > INT32_MAX || counters == 0 || counters > rec::kCountersMax ||
      window_count == 0 || window_count > rec::kWindowsMax || full_rows == 0 ||
      full_rows > INT32_MAX) {
    return REC_BAD_ARGUMENT;
  }
  std::unique_ptr<PaneTable> table(new (std::nothrow) PaneTable());
  if (!table) return REC_NO_MEMORY;
  table->rows = rows;
  table->counters = counters;
  table->window_count = window_count;
  table->full_max = full_rows < rows ? full_rows : rows;
  if (!rec::lay_out(*table, windows)) return REC_BAD_ARGUMENT;
  if (!table->slots.reserve_dense(size_t{8} * table->slot_words * rows) ||
      !table->full.reserve_dense(size_t{8} * table->full_words * table->full_max)) {
    return REC_NO_MEMORY;
  }
  return rec::adopt(rec::kPaneTable, table.release());
}

int32_t rec_pane_table_shape(int32_t handle, uint32_t* shape) {
  const PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  shape[0] = table->rows;
  shape[1] = table->counters;
  shape[2] = table->window_count;
  shape[3] = static_cast<uint32_t>(rec::saved_max(*table));
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

int32_t rec_pane_table_usage(int32_t handle, uint32_t* usage) {
  const PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  usage[0] = rec::load(&table->full_used);
  usage[1] = rec::load(&table->evicted);
  return REC_OK;
}

int64_t rec_pane_table_apply(int32_t handle, const rec_pane_updates* updates, uint32_t* late_out,
                             size_t late_length) {
  constexpr size_t kAhead = 16;
  constexpr size_t kFullAhead = 6;
  PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (late_length < table->window_count || !rec::valid(*table, *updates)) return REC_BAD_ARGUMENT;
  int64_t applied = 0;
  rec::Clocks clocks;
  rec::Clocks ahead;
  memset(late_out, 0, 4 * table->window_count);
  for (size_t i = 0; i < updates->count; i++) {
    if (i + kAhead < updates->count) rec::prefetch_slot(*table, updates->rows[i + kAhead]);
    if (i + kFullAhead < updates->count) {
      rec::prefetch_full(*table, ahead, *updates, i + kFullAhead);
    }
    const auto index = static_cast<uint32_t>(updates->rows[i]);
    uint64_t* slot = table->slot_at(index);
    const uint32_t even = rec::begin_write(rec::sequence_of(slot));
    const double offset = updates->offsets[i];
    const bool fresh = offset < 0 || static_cast<uint64_t>(offset) + 1 > rec::load(slot + 2);
    if (fresh) {
      if (offset >= 0) rec::store(slot + 2, static_cast<uint64_t>(offset) + 1);
      rec::apply_one(*table, clocks, slot,
                     {updates->counters[i], updates->deltas[i],
                      static_cast<uint64_t>(updates->times[i]), updates->watermark_ms},
                     late_out);
      applied++;
    }
    rec::end_write(rec::sequence_of(slot), even);
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

int32_t rec_pane_table_clear(int32_t handle) {
  PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const uint32_t used = rec::load(&table->used);
  for (uint32_t i = 0; i < used; i++) {
    uint64_t* slot = table->slot_at(i);
    const uint32_t even = rec::begin_write(rec::sequence_of(slot));
    rec::store(rec::full_index_of(slot), 0u);
    rec::zero(slot + 1, table->slot_words - 1);
    rec::end_write(rec::sequence_of(slot), even);
  }
  rec::store(&table->full_used, 0u);
  rec::store(&table->evicted, 0u);
  return REC_OK;
}

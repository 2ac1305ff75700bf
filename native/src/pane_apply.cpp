// Updates of pane-table rows: see pane_table.h for the rows.
#include <cmath>

#include "pane_room.h"

namespace rec {
namespace {

struct Update {
  uint32_t counter;
  uint32_t delta;
  uint64_t time;
  double watermark_ms;
  uint64_t now;  // the watermark, as a time
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
uint32_t drop_expired(const PaneTable& table, const Entries& entries, const Places& places) {
  const uint32_t room = entries.room();
  uint32_t kept = 0;
  for (uint32_t i = 0; i < room; i++) {
    const uint64_t entry = load(entries.at(i));
    if (is_kept(table, entry, places)) store(entries.at(kept++), entry);
  }
  for (uint32_t i = kept; i < room; i++) store(entries.at(i), uint64_t{0});
  return kept;
}

// False where the update does not fit into the list.
bool add_entry(PaneTable& table, uint64_t* slot, const Update& update, const Places& places) {
  if (update.delta == 0 || places.windows == 0) return true;
  const uint64_t unit = update.time / table.unit_ms;
  if (unit >> 32 || update.delta >> kAmountBits) return false;
  const uint64_t added = entry_of(unit, update.delta, update.counter, places.windows);
  Entries entries = entries_of(table, slot, load(beside_of(slot)));
  const uint32_t room = entries.room();
  uint32_t count = 0;
  for (; count < room; count++) {
    const uint64_t entry = load(entries.at(count));
    if (entry == 0) break;
    if (entry_key(entry) != entry_key(added)) continue;
    const uint32_t amount = entry_amount(entry) + update.delta;
    if (amount >> kAmountBits) continue;
    store(entries.at(count), entry_of(unit, amount, update.counter, places.windows));
    return true;
  }
  if (count == room) count = drop_expired(table, entries, places);
  if (count == room) {
    if (entries.line != nullptr) return false;
    store(beside_of(slot), take_overflow(table));
    entries = entries_of(table, slot, load(beside_of(slot)));
  }
  store(entries.at(count), added);
  return true;
}

// Gives a row a full row that holds what its entries say. Null where all are taken for good.
uint64_t* widen(PaneTable& table, uint64_t* slot, const Places& places, uint64_t now) {
  const uint32_t index = take_full(table, slot, now);
  if (index == 0) return nullptr;
  uint64_t* full = table.full_at(index - 1);
  const uint32_t beside = load(beside_of(slot));
  const Entries entries = entries_of(table, slot, beside);
  for (uint32_t i = 0; i < entries.room(); i++) {
    const uint64_t entry = load(entries.at(i));
    for (uint32_t w = 0; w < table.window_count; w++) {
      if ((entry_windows(entry) >> w & 1) == 0) continue;
      const int64_t pane = entry_unit(entry) / table.windows[w].units;
      const int64_t age = places.newest[w] - pane;
      if (age > table.windows[w].panes) continue;
      add_to_ring(table, table.windows[w], full, entry_counter(entry), entry_amount(entry),
                  places.newest[w], age);
    }
  }
  zero(entries.own, entries.own_room);
  store(beside_of(slot), index);
  if (is_overflow(beside)) give_back_overflow(table, beside);
  return full;
}

void apply_one(PaneTable& table, Clocks& clocks, uint64_t* slot, const Update& update,
               uint32_t* late_out) {
  const uint64_t last = load(slot + 1);
  const Places places = place(table, clocks, last, update, late_out);
  uint64_t* full = full_of(table, load(beside_of(slot)));
  if (full == nullptr) {
    if (!add_entry(table, slot, update, places)) {
      full = widen(table, slot, places, update.now);
      if (full == nullptr) count_one(&table.evicted);
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

// Nothing is read as of a time before the watermark; before the first event there is none.
uint64_t time_of(double watermark_ms) {
  if (!(watermark_ms > 0)) return 0;
  return static_cast<uint64_t>(watermark_ms < kTimeMax ? watermark_ms : kTimeMax);
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

// What an update touches beside a slot, once that is in the cache.
void prefetch_beside(const PaneTable& table, Clocks& clocks, const rec_pane_updates& updates,
                   size_t i) {
  uint64_t* slot = table.slot_at(static_cast<uint32_t>(updates.rows[i]));
  const uint32_t beside = load(beside_of(slot));
  if (is_overflow(beside)) __builtin_prefetch(overflow_of(table, beside), 1);
  uint64_t* full = full_of(table, beside);
  if (full == nullptr) return;
  const auto time = static_cast<uint64_t>(updates.times[i]);
  for (uint32_t w = 0; w < table.window_count; w++) {
    const Window& window = table.windows[w];
    const auto pane = static_cast<int64_t>(clocks.update[w].pane(window, time));
    __builtin_prefetch(full + window.sum_at + updates.counters[i] / 2, 1);
    __builtin_prefetch(pane_at(table, window, full, pane, 0) + updates.counters[i] / 2, 1);
  }
}

}  // namespace
}  // namespace rec

int64_t rec_pane_table_apply(int32_t handle, const rec_pane_updates* updates, uint32_t* late_out,
                             size_t late_length) {
  constexpr size_t kAhead = 16;
  constexpr size_t kBesideAhead = 6;
  auto* table = rec::lookup<rec::PaneTable>(handle, rec::kPaneTable);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (late_length < table->window_count || !rec::valid(*table, *updates)) return REC_BAD_ARGUMENT;
  int64_t applied = 0;
  const uint64_t now = rec::time_of(updates->watermark_ms);
  rec::Clocks clocks;
  rec::Clocks ahead;
  memset(late_out, 0, 4 * table->window_count);
  for (size_t i = 0; i < updates->count; i++) {
    if (i + kAhead < updates->count) rec::prefetch_slot(*table, updates->rows[i + kAhead]);
    if (i + kBesideAhead < updates->count) {
      rec::prefetch_beside(*table, ahead, *updates, i + kBesideAhead);
    }
    const auto index = static_cast<uint32_t>(updates->rows[i]);
    uint64_t* slot = table->slot_at(index);
    rec::raise_to(&table->used, index + 1);
    const double offset = updates->offsets[i];
    // Nobody else writes the row meanwhile, but for taking its full row away.
    if (offset >= 0 && static_cast<uint64_t>(offset) + 1 <= rec::load(slot + 2)) continue;
    rec::make_room(*table, slot, now);
    const uint32_t even = rec::begin_write(rec::sequence_of(slot));
    if (offset >= 0) rec::store(slot + 2, static_cast<uint64_t>(offset) + 1);
    rec::apply_one(*table, clocks, slot,
                   {updates->counters[i], updates->deltas[i],
                    static_cast<uint64_t>(updates->times[i]), updates->watermark_ms, now},
                   late_out);
    applied++;
    rec::end_write(rec::sequence_of(slot), even);
  }
  return applied;
}


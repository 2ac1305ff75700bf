// Sliding-window counters: see pane_table.h for the rows, pane_apply.cpp for updates.
#include "pane_table.h"

#include <cmath>
#include <memory>
#include <new>
#include <numeric>

#include "pane_read.h"

namespace rec {
namespace {

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
  if (rows == 0 || rows >= rec::kOverflow || counters == 0 || counters > rec::kCountersMax ||
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
      !table->full.reserve_dense(size_t{8} * table->full_words * table->full_max) ||
      !table->overflow.reserve_dense(size_t{8} * rec::kOverflowWords * rows)) {
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
  shape[4] = 8 * table->full_words;
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

int32_t rec_pane_table_usage(int32_t handle, double* usage) {
  const PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  usage[0] = rec::load(&table->full_used);
  usage[1] = table->file.records();
  const uint64_t* counters[] = {&table->evicted, &table->moved_out, &table->brought_back,
                                &table->expired, &table->unready};
  for (int i = 0; i < 5; i++) usage[2 + i] = static_cast<double>(rec::load(counters[i]));
  return REC_OK;
}

int32_t rec_pane_table_open_file(int32_t handle, const char* path, uint32_t records_max) {
  PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  std::lock_guard<std::mutex> lock(table->giving);
  return table->file.open(path, table->full_words, records_max);
}

int32_t rec_pane_table_read(int32_t handle, const int32_t* rows, size_t count, double as_of_ms,
                            int32_t waits, uint32_t* out, size_t out_length, double* offsets_out,
                            size_t offsets_length) {
  PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const size_t width = size_t{table->window_count + 1} * table->counters;
  if (out_length / width < count || (offsets_out != nullptr && offsets_length < count) ||
      !(std::abs(as_of_ms) <= rec::kTimeMax) || !rec::rows_in(rows, count, table->rows)) {
    return REC_BAD_ARGUMENT;
  }
  rec::read_rows(*table, {rows, count, as_of_ms, waits != 0}, out, offsets_out);
  return REC_OK;
}

int32_t rec_pane_table_clear(int32_t handle) {
  PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const uint32_t used = rec::load(&table->used);
  for (uint32_t i = 0; i < used; i++) {
    uint64_t* slot = table->slot_at(i);
    const uint32_t even = rec::begin_write(rec::sequence_of(slot));
    rec::store(rec::beside_of(slot), 0u);
    rec::zero(slot + 1, table->slot_words - 1);
    rec::end_write(rec::sequence_of(slot), even);
  }
  std::lock_guard<std::mutex> lock(table->giving);
  rec::store(&table->full_used, 0u);
  table->spare = table->hand = table->sweep = 0;
  table->overflow_used = table->overflow_free = 0;
  table->file.clear();
  return REC_OK;
}

// The writer adds to three counters in turn, at times that move by half a pane. A reader may fall
// between two updates but never inside one: totals follow from the applied offset, the window that
// nothing leaves equals the total, and the short window never holds more than its panes can.
//
// Then rows compete for fewer full rows than there are: a reader that comes while one changes hands
// never sees the counts of another row. With a file nothing is lost: what a row counted is all
// there or, for a reader that does not wait, not there at all.
#include <cstdlib>
#include <cstring>
#include <unistd.h>
#include <vector>

#include "race.h"
#include "rec.h"

static void windows_and_totals() {
  constexpr int kUpdates = 30000;
  // One window that never expires and one that does at nearly every step.
  const rec_window windows[2] = {{1000000, 4000}, {10, 4}};
  const int32_t table = rec_pane_table_create(4, 3, windows, 2, 4);
  CHECK(table > 0);
  std::atomic<double> time{0};
  race(3, 2000, [&] {
    for (int n = 0; n < kUpdates; n++) {
      // Row 2 gets counters 0, 1, 2, 0, 1, 2 ... at times that move by half a pane.
      const int32_t row = 2;
      const uint8_t counter = static_cast<uint8_t>(n % 3);
      const uint32_t delta = 1;
      const double at = 5.0 * n;
      const double offset = n;
      uint32_t late[2];
      const rec_pane_updates updates = {&row, &counter, &delta, &at, &offset, 1, 0};
      CHECK(rec_pane_table_apply(table, &updates, late, 2) == 1);
      time.store(at);
    }
  }, [&](int) {
    const int32_t rows[3] = {2, -1, 2};
    uint32_t out[27];
    double offsets[3];
    const double as_of = time.load() + 20;
    CHECK(rec_pane_table_read(table, rows, 3, as_of, 0, out, 27, offsets, 3) == REC_OK);
    for (int i = 0; i < 3; i += 2) {
      const uint32_t* windows_out = out + 9 * i;
      const uint32_t* total = windows_out + 6;
      const int64_t applied = static_cast<int64_t>(offsets[i]) + 1;
      for (int c = 0; c < 3; c++) {
        // How many of 0 .. applied - 1 leave the rest c by 3.
        CHECK(total[c] == static_cast<uint32_t>((applied + 2 - c) / 3));
        if (as_of >= 5.0 * (double(applied) - 1)) CHECK(windows_out[c] == total[c]);
      }
      // The short window holds at most two updates of each of its four panes.
      const uint32_t recent = windows_out[3] + windows_out[4] + windows_out[5];
      CHECK(recent <= 8);
    }
    for (int k = 9; k < 18; k++) CHECK(out[k] == 0);
    CHECK(offsets[1] == -1);
  });
  uint8_t saved[4 * 100000];
  uint32_t shape[5];
  CHECK(rec_pane_table_shape(table, shape) == REC_OK);
  const int64_t bytes = rec_pane_table_save(table, 0, 1, saved, sizeof saved);
  CHECK(bytes > 0);
  CHECK(rec_pane_table_load(table, 1, saved, bytes) == 1);
  CHECK(rec_pane_table_load(table, 1, saved, bytes - 1) == REC_BAD_ARGUMENT);
  CHECK(rec_release(table) == REC_OK);
  CHECK(rec_pane_table_clear(table) == REC_BAD_HANDLE);
}

static void full_rows_change_hands(const char* path) {
  constexpr int kRows = 6;
  constexpr int kRounds = 400;
  const rec_window windows[2] = {{1000000, 40}, {10, 400}};
  const int32_t table = rec_pane_table_create(kRows, 2, windows, 2, 2);
  CHECK(table > 0);
  if (path != nullptr) CHECK(rec_pane_table_open_file(table, path, 64) == REC_OK);
  std::atomic<double> time{0};
  race(3, 2000, [&] {
    for (int n = 0; n < kRounds * kRows; n++) {
      // Each row in turn gets twenty panes, more than its slot holds; row r counts in r + 1.
      const int32_t row = n % kRows;
      for (int i = 0; i < 20; i++) {
        const uint8_t counter = static_cast<uint8_t>(i & 1);
        const uint32_t delta = static_cast<uint32_t>(row) + 1;
        const double at = 10.0 * (20 * n + i);
        const double offset = 20.0 * n + i;
        uint32_t late[2];
        const rec_pane_updates updates = {&row, &counter, &delta, &at, &offset, 1, 0};
        CHECK(rec_pane_table_apply(table, &updates, late, 2) == 1);
        time.store(at);
      }
    }
  }, [&](int reader) {
    int32_t rows[kRows];
    uint32_t out[6 * kRows];
    double offsets[kRows];
    for (int i = 0; i < kRows; i++) rows[i] = i;
    const double as_of = time.load() + 10;
    CHECK(rec_pane_table_read(table, rows, kRows, as_of, reader & 1, out, 6 * kRows, offsets,
                              kRows) == REC_OK);
    for (int i = 0; i < kRows; i++) {
      const uint32_t* windows = out + 6 * i;
      const uint32_t* total = windows + 4;
      const uint32_t step = static_cast<uint32_t>(i) + 1;
      const int64_t applied = static_cast<int64_t>(offsets[i]) + 1;
      const int64_t rounds = applied / (20 * kRows);
      const int64_t rest = applied == 0 ? 0 : applied - 20 * (rounds * kRows + i);
      const int64_t updates = 20 * rounds + (rest < 0 ? 0 : rest > 20 ? 20 : rest);
      CHECK(total[0] + total[1] == static_cast<uint32_t>(updates) * step);
      for (int c = 0; c < 2; c++) {
        CHECK(windows[c] <= total[c] && windows[c + 2] <= windows[c]);
        CHECK(windows[c] % step == 0 && windows[c + 2] % step == 0);
        if (path != nullptr) CHECK(windows[c] == total[c]);
      }
    }
  });
  double usage[7];
  CHECK(rec_pane_table_usage(table, usage) == REC_OK);
  CHECK(usage[0] == 2);
  if (path == nullptr) CHECK(usage[2] > kRounds && usage[3] == 0);
  else CHECK(usage[2] == 0 && usage[3] > kRounds && usage[4] > kRounds);
  CHECK(rec_release(table) == REC_OK);
}

// Rows are loaded and read while their memory is made present, again and again.
static void loaded_while_prefaulted() {
  constexpr uint32_t kRows = 20000;
  const rec_window windows[2] = {{1000, 4}, {10, 4}};
  const int32_t from = rec_pane_table_create(kRows, 3, windows, 2, kRows);
  const int32_t to = rec_pane_table_create(kRows, 3, windows, 2, kRows);
  CHECK(from > 0 && to > 0);
  for (uint32_t row = 0; row < kRows; row += 100) {
    for (int i = 0; i < (row % 1000 == 0 ? 12 : 1); i++) {
      const auto index = static_cast<int32_t>(row);
      const uint8_t counter = static_cast<uint8_t>(i % 3);
      const uint32_t delta = row + 1;
      const double at = 10.0 * i;
      const double offset = i;
      uint32_t late[2];
      const rec_pane_updates updates = {&index, &counter, &delta, &at, &offset, 1, 0};
      CHECK(rec_pane_table_apply(from, &updates, late, 2) == 1);
    }
  }
  std::vector<uint8_t> saved(size_t{kRows} * 1000);
  const int64_t bytes = rec_pane_table_save(from, 0, kRows, saved.data(), saved.size());
  CHECK(bytes > 0);
  const rec_expected_rows expected[2] = {{from, kRows, kRows}, {to, kRows, kRows}};
  race(1, 20, [&] {
    for (int n = 0; n < 5; n++) {
      const int32_t prefault = rec_prefault_start(expected, 2);
      CHECK(prefault > 0);
      CHECK(rec_pane_table_load(to, 0, saved.data(), static_cast<size_t>(bytes)) == kRows);
      CHECK(rec_release(prefault) == REC_OK);
    }
  }, [&](int) {
    const int32_t row = 1000;
    uint32_t out[9];
    double offset = 0;
    CHECK(rec_pane_table_read(to, &row, 1, 200, 0, out, 9, &offset, 1) == REC_OK);
    CHECK(out[6] == (offset < 0 ? 0u : 4u * 1001));
  });
  std::vector<uint8_t> again(saved.size());
  CHECK(rec_pane_table_save(to, 0, kRows, again.data(), again.size()) == bytes);
  CHECK(memcmp(saved.data(), again.data(), static_cast<size_t>(bytes)) == 0);
  CHECK(rec_release(from) == REC_OK && rec_release(to) == REC_OK);
}

int main() {
  windows_and_totals();
  loaded_while_prefaulted();
  full_rows_change_hands(nullptr);
  char path[] = "/tmp/recmaster-rows-XXXXXX";
  const int file = mkstemp(path);
  CHECK(file >= 0);
  full_rows_change_hands(path);
  close(file);
  unlink(path);
}

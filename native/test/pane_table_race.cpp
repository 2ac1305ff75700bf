// The writer adds to three counters in turn, at times that move by half a pane. A reader may fall
// between two updates but never inside one: totals follow from the applied offset, the window that
// nothing leaves equals the total, and the short window never holds more than its panes can.
#include "race.h"
#include "rec.h"

int main() {
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
    CHECK(rec_pane_table_read(table, rows, 3, as_of, out, 27, offsets, 3) == REC_OK);
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
  CHECK(rec_pane_table_save(table, 0, 1, saved, sizeof saved) == REC_OK);
  CHECK(rec_release(table) == REC_OK);
  CHECK(rec_pane_table_clear(table) == REC_BAD_HANDLE);
}

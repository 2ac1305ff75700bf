// The writer lets a row see one value after the other, so all of its aggregates follow from the
// offset that it has applied. A reader may fall between two updates but never inside one, also
// while a pane turns from values into registers and while panes leave; and while the row leaves
// memory for another, and comes back, between any two of them.
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "race.h"
#include "rec.h"

constexpr int kUpdates = 6000;
const rec_aggregate kAggregates[4] = {
    {REC_MAX, 0, 0, 0, 0, 0},
    {REC_DISTINCT, 0, 0, 0, 0, 0},
    {REC_DISTINCT, 0, 0, 100, 4, 0},
    {REC_DECAYED, 0, 0, 0, 0, 1e12},
};

static void update(int32_t table, int32_t row, int n) {
  const uint8_t none = 0;
  const uint32_t value = static_cast<uint32_t>(n);
  const double at = 5.0 * n;
  const double offset = n;
  uint32_t late[4];
  const rec_aggregate_updates updates = {&row, &none, &none, &value, &at, &offset, 1, 0};
  CHECK(rec_aggregate_table_apply(table, &updates, late, 4) == 1);
}

// `is_alone`: no other row is written.
static void values_follow(int32_t table, bool is_alone) {
  race(3, 2000, [&] {
    for (int n = 0; n < kUpdates; n++) {
      update(table, 1, n);
      if (!is_alone && n % 3 == 0) update(table, n % 2 == 0 ? 0 : 2, n);
    }
  }, [&](int) {
    const int32_t rows[2] = {1, -1};
    double out[8];
    double offsets[2];
    const double as_of = 5.0 * kUpdates;
    CHECK(rec_aggregate_table_read(&table, 1, rows, 2, as_of, 0, out, 8, offsets, 2) == REC_OK);
    const double applied = offsets[0] + 1;
    CHECK(out[0] == (applied == 0 ? 0 : applied - 1));
    CHECK(applied > 32 ? out[1] > 0.5 * applied && out[1] < 2 * applied : out[1] == applied);
    // Twenty updates a pane, of which the window holds at most four.
    CHECK(out[2] <= 80);
    // Nearly nothing has decayed of 0 + 1 + ... + (applied - 1).
    const double sum = applied * (applied - 1) / 2;
    CHECK(out[3] <= sum && out[3] >= 0.999 * sum);
    for (int i = 4; i < 8; i++) CHECK(out[i] == 0);
    CHECK(offsets[1] == -1);
  });
}

static void saved_and_loaded(int32_t table) {
  uint32_t shape[4];
  CHECK(rec_aggregate_table_shape(table, shape) == REC_OK);
  std::vector<uint8_t> saved(3 * shape[2]);
  const int64_t used = rec_aggregate_table_save(table, 0, 3, saved.data(), saved.size());
  CHECK(used > 0);
  CHECK(rec_aggregate_table_load(table, 0, saved.data(), static_cast<size_t>(used)) == 3);
  for (int64_t cut = 1; cut < 40; cut++) {
    CHECK(rec_aggregate_table_load(table, 0, saved.data(), static_cast<size_t>(used - cut)) != 3);
  }
  CHECK(rec_aggregate_table_clear(table) == REC_OK);
  CHECK(rec_release(table) == REC_OK);
  CHECK(rec_aggregate_table_clear(table) == REC_BAD_HANDLE);
}

int main() {
  const int32_t table = rec_aggregate_table_create(3, kAggregates, 4, 3);
  CHECK(table > 0);
  values_follow(table, true);
  saved_and_loaded(table);
  char path[] = "/tmp/recmaster-rows-XXXXXX";
  const int file = mkstemp(path);
  const int32_t crowded = rec_aggregate_table_create(3, kAggregates, 4, 1);
  CHECK(file >= 0 && crowded > 0);
  CHECK(rec_aggregate_table_open_file(crowded, path, 3) == REC_OK);
  values_follow(crowded, false);
  double usage[7];
  CHECK(rec_aggregate_table_usage(crowded, usage) == REC_OK);
  CHECK(usage[0] == 1 && usage[2] == 0 && usage[4] > kUpdates / 2);
  saved_and_loaded(crowded);
  close(file);
  unlink(path);
}

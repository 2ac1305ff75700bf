// Sequences: several writers push records whose words are all equal; a reader never sees a record
// with different words, and of each writer's records the order is kept. Row tables: all bytes of
// a row are equal. A thread that replaces a whole row competes with those that push.
//
// Then sequences compete for fewer places in memory than there are rows, and some for fewer in the
// file: a row that moves is whole for whoever reads it, and nothing that was pushed is lost, or
// pushed twice, but where a row is given up as a whole.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>

#include "race.h"
#include "rec.h"

constexpr uint32_t kLength = 7;
constexpr uint32_t kWords = 5;

static void push(int32_t table, uint32_t value) {
  uint32_t record[kWords];
  for (uint32_t& word : record) word = value;
  CHECK(rec_sequence_table_push(table, 1, record, kWords, -1) == 1);
}

static void sequences() {
  const int32_t table = rec_sequence_table_create(3, kLength, kWords, 3);
  CHECK(table > 0);
  std::atomic<uint32_t> other{0};
  race(3, 6000, [&] {
    uint32_t records[kLength * kWords];
    for (uint32_t n = 0; n < 10000; n++) {
      push(table, n);
      if (n % 10 != 9) continue;
      for (uint32_t i = 0; i < 3 * kWords; i++) records[i] = n - 2 + i / kWords;
      CHECK(rec_sequence_table_replace(table, 1, records, sizeof records / 4, 3, -1) == 1);
    }
  }, [&](int reader) {
    if (reader == 0) push(table, 1u << 31 | other.fetch_add(1));
    uint32_t out[kLength * kWords];
    const int32_t count = rec_sequence_table_read(table, 1, 0, out, sizeof out / 4, nullptr);
    CHECK(count >= 0 && count <= int32_t(kLength));
    int64_t last[2] = {-1, -1};
    for (int32_t r = 0; r < count; r++) {
      for (uint32_t w = 1; w < kWords; w++) CHECK(out[r * kWords + w] == out[r * kWords]);
      const uint32_t value = out[r * kWords];
      int64_t& previous = last[value >> 31];
      CHECK(int64_t(value) > previous);
      previous = value;
    }
  });
  rec_release(table);
}

constexpr int kRows = 9;

// Record n of a writer in a row: a value that says both, in all words.
static void push_own(int32_t table, int row, uint32_t writer, uint32_t n) {
  uint32_t record[kWords];
  for (uint32_t& word : record) word = static_cast<uint32_t>(row) << 24 | writer << 20 | n;
  CHECK(rec_sequence_table_push(table, row, record, kWords, -1) == 1);
}

// The records of a row: all of that row, each writer's in its order. With `is_kept` one after the
// other. Returns how many there are.
static int32_t check_row(int32_t table, int row, bool waits, bool is_kept) {
  uint32_t out[kLength * kWords];
  const int32_t count = rec_sequence_table_read(table, row, waits, out, sizeof out / 4, nullptr);
  CHECK(count >= 0 && count <= int32_t(kLength));
  int64_t last[4] = {-1, -1, -1, -1};
  for (int32_t r = 0; r < count; r++) {
    const uint32_t value = out[r * kWords];
    for (uint32_t w = 1; w < kWords; w++) CHECK(out[r * kWords + w] == value);
    CHECK(value >> 24 == static_cast<uint32_t>(row));
    int64_t& previous = last[value >> 20 & 3];
    const int64_t n = value & 0xfffff;
    CHECK(previous < 0 || (is_kept ? n == previous + 1 : n > previous));
    previous = n;
  }
  return count;
}

// Three threads push to some rows and read them all, one only reads and saves. `records_max` in the
// file, of which the disk takes `disk_max`.
static void sequences_move(const char* path, uint32_t records_max, uint32_t disk_max) {
  const int32_t table = rec_sequence_table_create(kRows, kLength, kWords, 3);
  CHECK(table > 0);
  const bool is_kept = disk_max >= kRows;
  CHECK(rec_sequence_table_open_file(table, path, records_max) == REC_OK);
  uint32_t shape[5];
  CHECK(rec_sequence_table_shape(table, shape) == REC_OK);
  // What is beyond is refused; the last record before it finds half of its room.
  const rlimit disk = {shape[4] * disk_max + shape[4] / 2, RLIM_INFINITY};
  CHECK(setrlimit(RLIMIT_FSIZE, &disk) == 0);
  std::atomic<uint32_t> rounds[3] = {};
  race(3, 400, [&] {
    static uint8_t saved[kRows * 1024];
    for (int n = 0; n < 100; n++) {
      for (int row = 0; row < kRows; row++) check_row(table, row, true, is_kept);
      CHECK(rec_sequence_table_save(table, 0, kRows, saved, sizeof saved) > 0);
    }
  }, [&](int writer) {
    const uint32_t n = rounds[writer]++;
    for (int i = 0; i < kRows; i++) {
      const int row = static_cast<int>((i * (writer + 1) + n) % kRows);
      if (n < 0xfffff && i < 5) push_own(table, i, writer, n);
      check_row(table, row, false, is_kept);
    }
  });
  // The last records of each row are there, unless it was given up.
  for (int row = 0; row < 5; row++) {
    if (is_kept) CHECK(check_row(table, row, true, true) == int32_t(kLength));
  }
  double usage[7];
  CHECK(rec_sequence_table_usage(table, usage) == REC_OK);
  CHECK(usage[0] == 3 && usage[1] <= disk_max);
  CHECK(is_kept ? usage[2] == 0 && usage[3] > 100 && usage[4] > 100 : usage[2] > 100);
  CHECK(rec_release(table) == REC_OK);
}

static void sequences_in_files() {
  char path[] = "/tmp/recmaster-rows-XXXXXX";
  const int file = mkstemp(path);
  CHECK(file >= 0);
  signal(SIGXFSZ, SIG_IGN);
  sequences_move(path, 64, 64);
  sequences_move(path, 1, 1);
  // Rows are given up, nothing else happens.
  sequences_move(path, 64, 2);
  sequences_move(path, 64, 0);
  const rlimit any = {RLIM_INFINITY, RLIM_INFINITY};
  CHECK(setrlimit(RLIMIT_FSIZE, &any) == 0);
  close(file);
  unlink(path);
}

static void rows() {
  constexpr uint32_t kBytes = 56;
  const int32_t table = rec_row_table_create(4, kBytes);
  CHECK(table > 0);
  race(3, 4000, [&] {
    uint8_t bytes[kBytes];
    for (int n = 0; n < 20000; n++) {
      memset(bytes, n & 255, kBytes);
      CHECK(rec_row_table_write(table, 3, bytes, kBytes) == REC_OK);
    }
  }, [&](int) {
    const int32_t wanted[3] = {3, -1, 3};
    uint8_t out[3 * kBytes];
    CHECK(rec_row_table_read(table, wanted, 3, out, sizeof out) == REC_OK);
    for (uint32_t i = 1; i < kBytes; i++) {
      CHECK(out[i] == out[0]);
      CHECK(out[kBytes + i] == 0);
      CHECK(out[2 * kBytes + i] == out[2 * kBytes]);
    }
  });
  rec_release(table);
}

int main() {
  sequences();
  sequences_in_files();
  rows();
}

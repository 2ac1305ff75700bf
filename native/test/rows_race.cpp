// Sequences: several writers push records whose words are all equal; a reader never sees a record
// with different words, and of each writer's records the order is kept. Row tables: all bytes of
// a row are equal. A thread that replaces a whole row competes with those that push.
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
  const int32_t table = rec_sequence_table_create(3, kLength, kWords);
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
    const int32_t count = rec_sequence_table_read(table, 1, out, sizeof out / 4, nullptr);
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
  rows();
}

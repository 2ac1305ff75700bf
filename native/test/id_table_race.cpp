// One thread interns through many growths; readers find every id that the writer has announced,
// never a wrong row. Then several threads intern the same ids at once: each id gets one row.
#include <cstring>
#include <string>

#include "race.h"
#include "rec.h"

static const uint8_t* bytes(const std::string& text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

static std::string id_of(int64_t n) { return "user-" + std::to_string(n * 7919); }

static int64_t find(int32_t table, int64_t n) {
  const std::string id = id_of(n);
  return rec_id_table_find(table, bytes(id), static_cast<uint32_t>(id.size()));
}

static int64_t intern(int32_t table, int64_t n) {
  const std::string id = id_of(n);
  return rec_id_table_intern(table, bytes(id), static_cast<uint32_t>(id.size()));
}

static void one_writer() {
  constexpr int64_t kIds = 5000;
  const int32_t table = rec_id_table_create(kIds, kIds * 32);
  const int32_t pairs = rec_id_table_create(kIds, 0);
  CHECK(table > 0 && pairs > 0);
  std::atomic<int64_t> announced{0};
  race(3, 2000, [&] {
    for (int64_t n = 0; n < kIds; n++) {
      CHECK(intern(table, n) == n);
      CHECK(rec_id_table_intern_pair(pairs, 1, static_cast<uint32_t>(n)) == n);
      announced.store(n + 1, std::memory_order_release);
    }
  }, [&](int reader) {
    static thread_local uint32_t at = static_cast<uint32_t>(reader);
    const int64_t known = announced.load(std::memory_order_acquire);
    at = at * 1664525u + 1013904223u;
    const int64_t n = known == 0 ? 0 : at % known;
    if (known > 0) CHECK(find(table, n) == n);
    const int64_t size = rec_id_table_size(table);
    if (size > 0) CHECK(find(table, size - 1) == size - 1);
    // Just ahead of the writer: either not there yet or the right row.
    const int64_t ahead = find(table, known);
    CHECK(ahead == REC_NONE || ahead == known);
    if (known == 0) return;
    const uint8_t* text = nullptr;
    const int64_t length = rec_id_table_id(table, static_cast<int32_t>(n), &text);
    const std::string found_id(reinterpret_cast<const char*>(text), static_cast<size_t>(length));
    CHECK(found_id == id_of(n));
    const int32_t wanted[2] = {static_cast<int32_t>(n), 0};
    int32_t found[2];
    CHECK(rec_id_table_find_pairs(pairs, 1, wanted, 2, found) == REC_OK);
    CHECK(found[0] == n && found[1] == 0);
  });
  rec_release(table);
  rec_release(pairs);
}

static void many_writers() {
  constexpr int64_t kIds = 3000;
  const int32_t table = rec_id_table_create(kIds, kIds * 32);
  std::barrier start(4);
  std::vector<std::thread> threads;
  std::vector<std::vector<int64_t>> rows(4, std::vector<int64_t>(kIds));
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      for (int64_t n = 0; n < kIds; n++) rows[size_t(t)][size_t(n)] = intern(table, n);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(rec_id_table_size(table) == kIds);
  for (int t = 1; t < 4; t++) CHECK(rows[size_t(t)] == rows[0]);
  CHECK(intern(table, kIds) == REC_FULL);
  rec_release(table);
}

int main() {
  one_writer();
  many_writers();
}

// Many threads search one finished graph while it is retired and others are built: no race, no
// memory error, and every thread finds what a single one finds.

#include "../src/graph_index.h"

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

// hnswlib takes its locks in both orders while one thread builds: no deadlock without a second.
extern "C" const char* __tsan_default_options() { return "detect_deadlocks=0"; }

namespace {

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "graph_index_race: %s\n", what);
  std::exit(1);
}

std::vector<float> unit_vectors(uint32_t count, uint32_t dim, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(size_t{count} * dim);
  for (float& value : values) value = normal(random);
  for (uint32_t i = 0; i < count; i++) {
    float norm = 0;
    for (uint32_t d = 0; d < dim; d++) norm += values[i * dim + d] * values[i * dim + d];
    for (uint32_t d = 0; d < dim; d++) values[i * dim + d] /= std::sqrt(norm);
  }
  return values;
}

std::unique_ptr<rec::GraphIndex> build(const std::vector<float>& vectors, uint32_t dim,
                                       uint32_t exact_max) {
  const uint32_t count = vectors.size() / dim;
  std::vector<uint32_t> rows(count);
  for (uint32_t i = 0; i < count; i++) rows[i] = 3 * i;
  rec::GraphBuilder builder({dim, count, 8, 60, 7, exact_max});
  const uint32_t half = count / 2;
  check(builder.add(vectors.data(), rows.data(), half), "first half is added");
  check(builder.add(vectors.data() + half * dim, rows.data() + half, count - half), "second half");
  check(!builder.add(vectors.data(), rows.data(), 1), "nothing beyond the capacity");
  return builder.finish();
}

constexpr uint32_t kDim = 20;
constexpr uint32_t kCount = 1000;
constexpr uint32_t kTop = 10;

struct Answer {
  int32_t rows[kTop];
  float scores[kTop];
  uint32_t count;
};

Answer ask(const rec::GraphIndex& index, const float* query, uint32_t ef,
           const std::vector<uint32_t>* mask = nullptr) {
  Answer answer{};
  answer.count = index.search(query, kTop, ef, mask ? mask->data() : nullptr,
                              mask ? mask->size() : 0, answer.rows, answer.scores);
  return answer;
}

uint32_t shared(const Answer& a, const Answer& b) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < a.count; i++) {
    for (uint32_t j = 0; j < b.count; j++) count += a.rows[i] == b.rows[j];
  }
  return count;
}

void test_recall(const std::vector<float>& vectors) {
  const auto graph = build(vectors, kDim, 0);
  const auto exact = build(vectors, kDim, kCount);
  const auto queries = unit_vectors(100, kDim, 2);
  uint32_t narrow = 0;
  uint32_t wide = 0;
  for (uint32_t q = 0; q < 100; q++) {
    const Answer truth = ask(*exact, &queries[q * kDim], kTop);
    check(truth.count == kTop, "exact search finds k");
    narrow += shared(truth, ask(*graph, &queries[q * kDim], 10));
    wide += shared(truth, ask(*graph, &queries[q * kDim], 200));
  }
  check(wide > 970, "recall at ef 200 is over .96");
  check(narrow < wide, "ef of a query matters");
}

void test_tombstones(const std::vector<float>& vectors) {
  const auto graph = build(vectors, kDim, 0);
  std::vector<uint32_t> mask(3 * kCount / 32 + 1, 0);
  const Answer before = ask(*graph, vectors.data(), 100);
  check(before.rows[0] == 0, "a vector is nearest to itself");
  for (uint32_t i = 0; i < kTop; i++) mask[before.rows[i] >> 5] |= 1u << (before.rows[i] & 31);
  const Answer after = ask(*graph, vectors.data(), 100, &mask);
  check(after.count == kTop && shared(before, after) == 0, "hidden rows stay hidden");
  std::vector<uint32_t> all(3 * kCount / 32 + 1, ~0u);
  check(ask(*graph, vectors.data(), 100, &all).count == 0, "nothing is left when all are hidden");
}

void test_bytes(const std::vector<float>& vectors) {
  const auto graph = build(vectors, kDim, 0);
  std::vector<uint8_t> bytes(graph->data(), graph->data() + graph->bytes());
  std::string reason;
  const auto loaded = rec::GraphIndex::load(bytes.data(), bytes.size(), &reason);
  check(loaded != nullptr, "loads what it saved");
  const Answer answer = ask(*loaded, vectors.data() + kDim, 50);
  check(shared(answer, ask(*graph, vectors.data() + kDim, 50)) == kTop, "and finds the same");
  check(!rec::GraphIndex::load(bytes.data(), bytes.size() - 1, &reason), "a torn one is refused");
  // Any single damaged word: refused, or harmless to search.
  std::mt19937 random(5);
  for (int round = 0; round < 60; round++) {
    std::vector<uint8_t> damaged = bytes;
    const size_t word = random() % (bytes.size() / 4);
    reinterpret_cast<uint32_t*>(damaged.data())[word] = random();
    const auto maybe = rec::GraphIndex::load(damaged.data(), damaged.size(), &reason);
    if (maybe) ask(*maybe, vectors.data(), 50);
  }
}

void test_threads(const std::vector<float>& vectors) {
  std::shared_ptr<rec::GraphIndex> current = build(vectors, kDim, 0);
  std::vector<Answer> expected;
  for (uint32_t q = 0; q < 50; q++) expected.push_back(ask(*current, &vectors[q * kDim], 40));
  std::vector<uint32_t> mask(3 * kCount / 32 + 1, 0);
  std::atomic<bool> stop{false};
  std::atomic<uint32_t> wrong{0};
  std::mutex guard;
  auto pin = [&] {
    std::lock_guard<std::mutex> lock(guard);
    return current;
  };
  auto search = [&](uint32_t from) {
    uint32_t q = from;
    while (!stop.load(std::memory_order_relaxed)) {
      const std::shared_ptr<rec::GraphIndex> pinned = pin();
      const Answer got = ask(*pinned, &vectors[q * kDim], 40, from == 0 ? &mask : nullptr);
      if (from != 0 && shared(got, expected[q]) != kTop) wrong++;
      q = (q + 1) % 50;
    }
  };
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; t++) threads.emplace_back(search, t);
  for (uint32_t round = 0; round < 3; round++) {
    std::shared_ptr<rec::GraphIndex> next = build(vectors, kDim, 0);
    {
      std::lock_guard<std::mutex> lock(guard);
      current = next;
    }
    __atomic_store_n(&mask[round], 1u << round, __ATOMIC_RELAXED);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  check(wrong == 0, "every thread finds what one finds");
}

}  // namespace

int main() {
  const auto vectors = unit_vectors(kCount, kDim, 1);
  test_recall(vectors);
  test_tombstones(vectors);
  test_bytes(vectors);
  test_threads(vectors);
  std::puts("graph_index_race ok");
}

// Additions from many threads add up, and handles released in one thread are refused in another
// without a crash.
#include <algorithm>

#include "race.h"
#include "rec.h"
#include "registry.h"

static void metrics() {
  constexpr int kAdds = 20000;
  const int32_t handle = rec_metrics_create(2, 1);
  std::atomic<double> runs{0};
  race(3, kAdds, [&] {
    double out[REC_HISTOGRAM_BUCKETS + 1];
    for (int i = 0; i < 200; i++) {
      CHECK(rec_metrics_read_histogram(handle, 0, out, REC_HISTOGRAM_BUCKETS + 1) == REC_OK);
    }
  }, [&](int) {
    CHECK(rec_metrics_add(handle, 1, 2) == REC_OK);
    CHECK(rec_metrics_observe(handle, 0, 1.5) == REC_OK);
    runs.fetch_add(1);
  });
  for (int i = 0; i < kAdds; i++) CHECK(rec_metrics_hold(handle, 0, i % 7) == REC_OK);
  double held;
  CHECK(rec_metrics_take_held(handle, 0, &held) == REC_OK && held == 6);
  CHECK(rec_metrics_take_held(handle, 0, &held) == REC_OK && held == -1);
  // However holders and takers meet, the largest is taken or still held.
  double largest = -1;
  race(3, kAdds, [&] {
    for (int i = 0; i < 200; i++) {
      CHECK(rec_metrics_take_held(handle, 0, &held) == REC_OK);
      largest = std::max(largest, held);
    }
  }, [&](int reader) { CHECK(rec_metrics_hold(handle, 0, reader) == REC_OK); });
  CHECK(rec_metrics_take_held(handle, 0, &held) == REC_OK);
  CHECK(std::max(held, largest) == 2);
  double counters[2];
  double histogram[REC_HISTOGRAM_BUCKETS + 1];
  CHECK(rec_metrics_read_counters(handle, counters, 2) == REC_OK);
  CHECK(rec_metrics_read_histogram(handle, 0, histogram, REC_HISTOGRAM_BUCKETS + 1) == REC_OK);
  double count = 0;
  for (int b = 0; b < REC_HISTOGRAM_BUCKETS; b++) count += histogram[b];
  CHECK(counters[0] == 0 && counters[1] == 2 * runs.load());
  CHECK(count == runs.load() && histogram[REC_HISTOGRAM_BUCKETS] == 1.5 * runs.load());
  rec_release(handle);
}

static void registry() {
  static std::atomic<int> destroyed{0};
  constexpr int kObjects = 3000;
  std::atomic<int32_t> handle{0};
  race(3, 3000, [&] {
    for (int i = 0; i < kObjects; i++) {
      int* object = new int(42);
      handle.store(rec::registry_add(rec::kGraph, object, [](void* old) {
        delete static_cast<int*>(old);
        destroyed.fetch_add(1);
      }));
      CHECK(rec::registry_release(handle.load(), rec::kGraph));
    }
  }, [&](int) {
    const int32_t seen = handle.load();
    CHECK(rec::registry_get(seen, rec::kIdTable) == nullptr);
    const void* object = rec::registry_retain(seen, rec::kGraph);
    if (object == nullptr) return;
    CHECK(*static_cast<const int*>(object) == 42);
    CHECK(rec::registry_release(seen, rec::kGraph));
  });
  CHECK(destroyed.load() == kObjects);
  CHECK(rec::registry_get(handle.load(), rec::kGraph) == nullptr);
}

int main() {
  metrics();
  registry();
}

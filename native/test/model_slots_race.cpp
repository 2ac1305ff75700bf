// Readers pin, read all weights (plain memory) and unpin while the publisher fills and flips as
// fast as it can. All weights of a pinned slot equal its version from pin to unpin, and the
// version never goes back. A slot that somebody pins is never filled: the sanitizer would see it.
#include "race.h"
#include "rec.h"

int main() {
  constexpr uint32_t kFloats = 300;
  constexpr uint32_t kVersions = 10000;
  constexpr int kReaders = 3;
  const int32_t slots = rec_model_slots_create(3, kFloats, kReaders);
  CHECK(slots > 0);
  uint32_t newest[kReaders] = {};
  std::atomic<uint32_t> published{0};
  race(kReaders, 3000, [&] {
    for (uint32_t version = 1; version <= kVersions;) {
      const int32_t slot = rec_model_slots_acquire(slots);
      if (slot < 0) {
        std::this_thread::yield();
        continue;
      }
      float* weights = rec_model_slots_weights(slots, static_cast<uint32_t>(slot));
      for (uint32_t i = 0; i < kFloats; i++) weights[i] = static_cast<float>(version);
      CHECK(rec_model_slots_publish(slots, static_cast<uint32_t>(slot), version) == REC_OK);
      published.store(version++);
    }
  }, [&](int reader) {
    const uint32_t index = static_cast<uint32_t>(reader);
    const uint32_t before = published.load();
    const int32_t slot = rec_model_slots_pin(slots, index);
    if (slot < 0) {
      CHECK(before == 0);
      return;
    }
    CHECK(rec_model_slots_pin(slots, index) == REC_BAD_STATE);
    const auto version = static_cast<uint32_t>(rec_model_slots_version(slots, uint32_t(slot)));
    CHECK(version >= before && version >= newest[reader]);
    newest[reader] = version;
    CHECK(rec_model_slots_oldest_pinned_version(slots) <= version);
    const float* weights = rec_model_slots_weights(slots, static_cast<uint32_t>(slot));
    for (uint32_t i = 0; i < kFloats; i++) CHECK(weights[i] == static_cast<float>(version));
    CHECK(rec_model_slots_version(slots, uint32_t(slot)) == version);
    CHECK(rec_model_slots_unpin(slots, index) == REC_OK);
  });
  CHECK(published.load() == kVersions);
  rec_release(slots);
}

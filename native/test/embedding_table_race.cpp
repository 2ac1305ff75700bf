// The trainer publishes version v with all floats equal to v; a reader with pin p gets a value
// that is whole, published, and not newer than p: with p the version published last before the
// read it is p or, once two more were published, nothing.
#include "race.h"
#include "rec.h"

int main() {
  constexpr uint32_t kDim = 17;
  constexpr uint32_t kVersions = 10000;
  const int32_t table = rec_embedding_table_create(nullptr, 8, kDim);
  CHECK(table > 0);
  std::atomic<uint32_t> published{0};
  race(3, 4000, [&] {
    const int32_t row = 5;
    float values[kDim];
    for (uint32_t version = 1; version <= kVersions; version++) {
      for (float& value : values) value = static_cast<float>(version);
      CHECK(rec_embedding_table_initialise(table, &row, 1, values, kDim) == REC_OK);
      CHECK(rec_embedding_table_publish(table, &row, 1, version) == REC_OK);
      published.store(version, std::memory_order_release);
    }
  }, [&](int) {
    const uint32_t pin = published.load(std::memory_order_acquire);
    const int32_t rows[2] = {5, -1};
    float out[2 * kDim];
    CHECK(rec_embedding_table_gather(table, rows, 2, pin, out, 2 * kDim) == REC_OK);
    for (uint32_t i = 1; i < kDim; i++) CHECK(out[i] == out[0]);
    for (uint32_t i = 0; i < kDim; i++) CHECK(out[kDim + i] == 0);
    CHECK(out[0] == static_cast<float>(pin) || out[0] == 0);
    if (out[0] == 0 && pin > 0) CHECK(published.load() > pin);
  });
  rec_release(table);
}

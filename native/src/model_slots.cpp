// Model weights in a few slots and one atomic word that names the current one.
//
// A reader writes the slot into its own cache line, then reads the word again and retries if it
// moved; the publisher flips the word first and scans the lines afterwards. All four accesses are
// sequentially consistent, so either the reader sees the new word or the publisher sees the pin:
// a slot that someone pins is never filled again.
#include <memory>
#include <new>

#include "shared_memory.h"

namespace rec {
namespace {

constexpr uint32_t kSlotsMax = 64;
constexpr uint32_t kReadersMax = 4096;

struct alignas(64) Announcement {
  uint32_t slot_plus_1 = 0;  // atomic, 0: none
};

struct ModelSlots {
  uint32_t slots = 0;
  uint32_t floats = 0;
  uint32_t readers = 0;
  size_t stride = 0;                   // bytes
  uint32_t versions[kSlotsMax] = {};   // atomic
  std::unique_ptr<Announcement[]> pins;
  Region region;
  alignas(64) uint64_t current = 0;    // atomic: publishes << 32 | slot + 1

  float* weights(uint32_t slot) const {
    return reinterpret_cast<float*>(region.data() + stride * slot);
  }
};

uint64_t load_strong(const uint64_t* word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
uint32_t slot_of(uint64_t current) { return static_cast<uint32_t>(current) - 1; }
ModelSlots* slots_of(int32_t handle) { return lookup<ModelSlots>(handle, kModelSlots); }

bool pinned(const ModelSlots& slots, uint32_t slot) {
  for (uint32_t r = 0; r < slots.readers; r++) {
    if (__atomic_load_n(&slots.pins[r].slot_plus_1, __ATOMIC_SEQ_CST) == slot + 1) return true;
  }
  return false;
}

}  // namespace
}  // namespace rec

using rec::ModelSlots;

int32_t rec_model_slots_create(uint32_t slots, uint32_t floats, uint32_t readers) {
  if (slots < 2 || slots > rec::kSlotsMax || floats == 0 || floats > (1u << 29) || readers == 0 ||
      readers > rec::kReadersMax) {
    return REC_BAD_ARGUMENT;
  }
  std::unique_ptr<ModelSlots> made(new (std::nothrow) ModelSlots());
  if (!made) return REC_NO_MEMORY;
  made->slots = slots;
  made->floats = floats;
  made->readers = readers;
  made->stride = (size_t{4} * floats + 4095) & ~size_t{4095};
  made->pins.reset(new (std::nothrow) rec::Announcement[readers]);
  if (!made->pins || !made->region.reserve(made->stride * slots)) return REC_NO_MEMORY;
  return rec::adopt(rec::kModelSlots, made.release());
}

int32_t rec_model_slots_shape(int32_t handle, uint32_t* shape) {
  const ModelSlots* slots = rec::slots_of(handle);
  if (slots == nullptr) return REC_BAD_HANDLE;
  shape[0] = slots->slots;
  shape[1] = slots->floats;
  shape[2] = slots->readers;
  return REC_OK;
}

int32_t rec_model_slots_pin(int32_t handle, uint32_t reader) {
  ModelSlots* slots = rec::slots_of(handle);
  if (slots == nullptr) return REC_BAD_HANDLE;
  if (reader >= slots->readers) return REC_BAD_ARGUMENT;
  uint32_t* pin = &slots->pins[reader].slot_plus_1;
  if (rec::load(pin) != 0) return REC_BAD_STATE;
  uint64_t seen = rec::load_strong(&slots->current);
  while (seen != 0) {
    REC_RACE_POINT();
    __atomic_store_n(pin, rec::slot_of(seen) + 1, __ATOMIC_SEQ_CST);
    const uint64_t again = rec::load_strong(&slots->current);
    if (again == seen) return static_cast<int32_t>(rec::slot_of(seen));
    seen = again;
  }
  return REC_NONE;
}

int32_t rec_model_slots_unpin(int32_t handle, uint32_t reader) {
  ModelSlots* slots = rec::slots_of(handle);
  if (slots == nullptr) return REC_BAD_HANDLE;
  if (reader >= slots->readers) return REC_BAD_ARGUMENT;
  __atomic_store_n(&slots->pins[reader].slot_plus_1, 0u, __ATOMIC_SEQ_CST);
  return REC_OK;
}

float* rec_model_slots_weights(int32_t handle, uint32_t slot) {
  const ModelSlots* slots = rec::slots_of(handle);
  return slots == nullptr || slot >= slots->slots ? nullptr : slots->weights(slot);
}

int64_t rec_model_slots_version(int32_t handle, uint32_t slot) {
  const ModelSlots* slots = rec::slots_of(handle);
  if (slots == nullptr) return REC_BAD_HANDLE;
  if (slot >= slots->slots) return REC_BAD_ARGUMENT;
  return __atomic_load_n(&slots->versions[slot], __ATOMIC_ACQUIRE);
}

int32_t rec_model_slots_acquire(int32_t handle) {
  ModelSlots* slots = rec::slots_of(handle);
  if (slots == nullptr) return REC_BAD_HANDLE;
  const uint64_t current = rec::load_strong(&slots->current);
  int32_t best = REC_NONE;
  for (uint32_t s = 0; s < slots->slots; s++) {
    if ((current != 0 && s == rec::slot_of(current)) || rec::pinned(*slots, s)) continue;
    if (best < 0 || rec::load(&slots->versions[s]) < rec::load(&slots->versions[best])) {
      best = static_cast<int32_t>(s);
    }
  }
  return best;
}

int32_t rec_model_slots_publish(int32_t handle, uint32_t slot, uint32_t version) {
  ModelSlots* slots = rec::slots_of(handle);
  if (slots == nullptr) return REC_BAD_HANDLE;
  if (slot >= slots->slots || version == 0) return REC_BAD_ARGUMENT;
  const uint64_t before = rec::load_strong(&slots->current);
  REC_RACE_POINT();
  __atomic_store_n(&slots->versions[slot], version, __ATOMIC_RELEASE);
  __atomic_store_n(&slots->current, (((before >> 32) + 1) << 32) | (slot + 1), __ATOMIC_SEQ_CST);
  return REC_OK;
}

int32_t rec_model_slots_current(int32_t handle, int32_t* slot, uint32_t* version) {
  const ModelSlots* slots = rec::slots_of(handle);
  if (slots == nullptr) return REC_BAD_HANDLE;
  for (uint64_t seen = rec::load_strong(&slots->current);;) {
    *slot = seen == 0 ? -1 : static_cast<int32_t>(rec::slot_of(seen));
    *version = seen == 0 ? 0 : __atomic_load_n(&slots->versions[*slot], __ATOMIC_ACQUIRE);
    const uint64_t again = rec::load_strong(&slots->current);
    if (again == seen) return REC_OK;
    seen = again;
  }
}

int64_t rec_model_slots_oldest_pinned_version(int32_t handle) {
  const ModelSlots* slots = rec::slots_of(handle);
  if (slots == nullptr) return REC_BAD_HANDLE;
  int32_t slot;
  uint32_t oldest = 0;
  rec_model_slots_current(handle, &slot, &oldest);
  for (uint32_t r = 0; r < slots->readers; r++) {
    const uint32_t pin = __atomic_load_n(&slots->pins[r].slot_plus_1, __ATOMIC_SEQ_CST);
    if (pin == 0) continue;
    const uint32_t version = __atomic_load_n(&slots->versions[pin - 1], __ATOMIC_ACQUIRE);
    if (version < oldest) oldest = version;
  }
  return oldest;
}

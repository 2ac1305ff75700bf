#include "registry.h"

#include <atomic>
#include <mutex>

namespace rec {
namespace {

constexpr uint32_t kSlotBits = 12;
constexpr uint32_t kSlots = 1u << kSlotBits;
constexpr uint32_t kGenerations = 1u << 19;

// `tag` is handle << 32 | kind, zero when free. It is written after `object` (release), so that
// a reader which sees the tag sees the object.
struct Entry {
  std::atomic<uint64_t> tag{0};
  std::atomic<void*> object{nullptr};
  void (*destroy)(void*) = nullptr;
  uint32_t references = 0;
  uint32_t generation = 0;
};

Entry entries[kSlots];
std::mutex guard;

uint64_t tag_of(int32_t handle, Kind kind) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(handle)) << 32) | kind;
}

Entry* entry_of(int32_t handle, Kind kind) {
  if (handle <= 0) return nullptr;
  Entry& entry = entries[static_cast<uint32_t>(handle) & (kSlots - 1)];
  return entry.tag.load(std::memory_order_acquire) == tag_of(handle, kind) ? &entry : nullptr;
}

}  // namespace

int32_t registry_add(Kind kind, void* object, void (*destroy)(void*)) {
  std::lock_guard<std::mutex> lock(guard);
  for (uint32_t slot = 1; slot < kSlots; slot++) {
    Entry& entry = entries[slot];
    if (entry.tag.load(std::memory_order_relaxed) != 0) continue;
    entry.generation = (entry.generation + 1) % kGenerations;
    const int32_t handle = static_cast<int32_t>((entry.generation << kSlotBits) | slot);
    entry.destroy = destroy;
    entry.references = 1;
    entry.object.store(object, std::memory_order_relaxed);
    entry.tag.store(tag_of(handle, kind), std::memory_order_release);
    return handle;
  }
  return 0;
}

void* registry_get(int32_t handle, Kind kind) {
  Entry* entry = entry_of(handle, kind);
  return entry == nullptr ? nullptr : entry->object.load(std::memory_order_relaxed);
}

void* registry_retain(int32_t handle, Kind kind) {
  std::lock_guard<std::mutex> lock(guard);
  Entry* entry = entry_of(handle, kind);
  if (entry == nullptr) return nullptr;
  entry->references++;
  return entry->object.load(std::memory_order_relaxed);
}

uint32_t registry_size() {
  uint32_t size = 0;
  for (const Entry& entry : entries) size += entry.tag.load(std::memory_order_relaxed) != 0;
  return size;
}

bool registry_release(int32_t handle, Kind kind) {
  void* object = nullptr;
  void (*destroy)(void*) = nullptr;
  {
    std::lock_guard<std::mutex> lock(guard);
    Entry* entry = entry_of(handle, kind);
    if (entry == nullptr) return false;
    if (--entry->references != 0) return true;
    object = entry->object.load(std::memory_order_relaxed);
    destroy = entry->destroy;
    entry->tag.store(0, std::memory_order_release);
  }
  if (destroy != nullptr) destroy(object);
  return true;
}

}  // namespace rec

// Process-wide registry of native objects. A handle is a small positive integer: 12 bits of slot
// and 19 bits of generation, so that a handle that was released stays wrong when its slot is used
// again. Each entry carries a kind tag; asking with the wrong kind answers null, never a crash.
#pragma once
#include <cstdint>

namespace rec {

enum Kind : uint32_t {
  kIdTable = 1,
  kPaneTable,
  kSequenceTable,
  kRowTable,
  kEmbeddingTable,
  kModelSlots,
  kAggregateTable,
  kPrefault,
  kMetrics,
  kGraph,
  kKernelState,
};

// Adds an object with one reference; returns its handle, or 0 when all 4,095 slots are taken.
int32_t registry_add(Kind kind, void* object, void (*destroy)(void*));

// The object, or null when the handle is unknown, released or of another kind. Lock-free.
void* registry_get(int32_t handle, Kind kind);

// One more reference; returns the object, or null when the handle is wrong. Safe against a
// concurrent release: either the reference is taken or the answer is null.
void* registry_retain(int32_t handle, Kind kind);

// Gives one reference back; the last one destroys the object. False when the handle is wrong.
bool registry_release(int32_t handle, Kind kind);

// Objects that have not been destroyed.
uint32_t registry_size();

template <class T>
T* lookup(int32_t handle, Kind kind) {
  return static_cast<T*>(registry_get(handle, kind));
}

}  // namespace rec

// What prefault.cpp knows of memory that is about to be written.
#pragma once
#include <cstddef>
#include <cstdint>

namespace rec {

struct Memory {
  const void* from;
  uint64_t bytes;
};

// Slots and entries that so many ids will take; none where the table has ids already. False where
// the handle is no id table's, or there is no room for so many.
bool memory_of_ids(int32_t handle, uint32_t ids, Memory (&out)[2]);

}  // namespace rec

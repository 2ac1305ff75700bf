// What the shared tables stand on: reserved memory, relaxed atomic words, the sequence lock.
#pragma once
#include <sched.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "rec.h"
#include "registry.h"

// Where another thread may come between. The tests of races define it as a yield, so that it does.
#ifndef REC_RACE_POINT
#define REC_RACE_POINT() ((void)0)
#endif

namespace rec {

// Event times are whole milliseconds from 0 to this, 2^52.
constexpr double kTimeMax = 4503599627370496.0;

// Address space for a table: zeros, no swap reserved, pages appear when they are touched.
class Region {
 public:
  Region() = default;
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region() { unmap(); }

  bool reserve(size_t bytes) {
    return map(bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  }
  // For rows that fill up from the first: 2 MB pages take a five hundredth of the page faults,
  // which are most of the time of a replay into fresh tables. Without them all is as before.
  bool reserve_dense(size_t bytes) {
    if (!reserve(bytes)) return false;
    madvise(data_, bytes_, MADV_HUGEPAGE);
    return true;
  }
  bool map_file(size_t bytes, int file) { return map(bytes, MAP_SHARED | MAP_NORESERVE, file); }

  uint8_t* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  bool map(size_t bytes, int flags, int file) {
    unmap();
    if (bytes == 0 || bytes > (size_t{1} << 46)) return false;
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
    if (data == MAP_FAILED) return false;
    data_ = static_cast<uint8_t*>(data);
    bytes_ = bytes;
    return true;
  }
  void unmap() {
    if (data_ != nullptr) munmap(data_, bytes_);
    data_ = nullptr;
  }

  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};

template <class T>
inline T load(const T* word) {
  return __atomic_load_n(word, __ATOMIC_RELAXED);
}

template <class T>
inline void store(T* word, T value) {
  __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

inline void pause_for(uint32_t spins) {
  // The writer may be a background thread that lost its core in the middle of a row.
  if (spins % 64 == 63) {
    sched_yield();
  } else {
    __builtin_ia32_pause();
  }
}

// Takes a row for writing: its sequence number becomes odd. Writers of one row exclude each other.
inline uint32_t begin_write(uint32_t* sequence) {
  for (uint32_t spins = 0;; spins++) {
    uint32_t even = load(sequence) & ~1u;
    if (__atomic_compare_exchange_n(sequence, &even, even + 1, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED)) {
      __atomic_thread_fence(__ATOMIC_RELEASE);
      return even;
    }
    pause_for(spins);
  }
}

// The same, or false at once where another thread is writing the row.
inline bool try_begin_write(uint32_t* sequence, uint32_t& even) {
  even = load(sequence);
  if (even & 1) return false;
  if (!__atomic_compare_exchange_n(sequence, &even, even + 1, false, __ATOMIC_ACQUIRE,
                                   __ATOMIC_RELAXED)) {
    return false;
  }
  __atomic_thread_fence(__ATOMIC_RELEASE);
  return true;
}

inline void end_write(uint32_t* sequence, uint32_t even) {
  __atomic_store_n(sequence, even + 2, __ATOMIC_RELEASE);
}

// Gives a row back that was taken and not changed.
inline void cancel_write(uint32_t* sequence, uint32_t even) {
  __atomic_store_n(sequence, even, __ATOMIC_RELEASE);
}

// Runs `copy` until no writer touched the row meanwhile (Boehm, "Can seqlocks get along with
// programming language memory models?"). `copy` may see a mixture and must bear it.
template <class Copy>
inline void read_consistent(const uint32_t* sequence, Copy copy) {
  for (uint32_t spins = 0;; spins++) {
    const uint32_t before = __atomic_load_n(sequence, __ATOMIC_ACQUIRE);
    if ((before & 1) == 0) {
      REC_RACE_POINT();
      copy();
      __atomic_thread_fence(__ATOMIC_ACQUIRE);
      if (load(sequence) == before) return;
    }
    pause_for(spins);
  }
}

// Copies between shared words and private memory. `words` counts 64-bit words.
inline void copy_out(void* out, const uint64_t* shared, size_t words) {
  auto* bytes = static_cast<uint8_t*>(out);
  for (size_t i = 0; i < words; i++) {
    const uint64_t word = load(shared + i);
    memcpy(bytes + 8 * i, &word, 8);
  }
}

inline void copy_in(uint64_t* shared, const void* data, size_t words) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  for (size_t i = 0; i < words; i++) {
    uint64_t word;
    memcpy(&word, bytes + 8 * i, 8);
    store(shared + i, word);
  }
}

inline void zero(uint64_t* words, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) store(words + i, uint64_t{0});
}

inline void count_one(uint64_t* counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

// The largest row written so far + 1: what a save or clear has to visit.
inline void raise_to(uint32_t* used, uint32_t rows) {
  uint32_t seen = load(used);
  while (seen < rows && !__atomic_compare_exchange_n(used, &seen, rows, true, __ATOMIC_RELEASE,
                                                     __ATOMIC_RELAXED)) {
  }
}

// Every row is -1 or below `rows`.
inline bool rows_in(const int32_t* rows, size_t count, uint32_t limit) {
  for (size_t i = 0; i < count; i++) {
    if (rows[i] < -1 || (rows[i] >= 0 && static_cast<uint32_t>(rows[i]) >= limit)) return false;
  }
  return true;
}

inline bool row_in(int32_t row, uint32_t limit) {
  return row >= 0 && static_cast<uint32_t>(row) < limit;
}

inline bool range_in(uint32_t first, uint32_t count, uint32_t limit) {
  return first <= limit && count <= limit - first;
}

// Wraps a finished object into a handle; takes it over.
template <class T>
int32_t adopt(Kind kind, T* object) {
  const int32_t handle =
      registry_add(kind, object, [](void* old) { delete static_cast<T*>(old); });
  if (handle != 0) return handle;
  delete object;
  return REC_FULL;
}

// True for an integer from 0 to 2^53, the range of offsets and times.
inline bool is_index(double value) {
  return value >= 0 && value <= 9007199254740992.0;
}

}  // namespace rec

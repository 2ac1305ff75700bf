// Memory that is about to be written, made present by a thread beside the one that will write it.
// The kernel clears a page at its first touch, which takes longer than loading a saved row into it,
// several times longer where the host has to find the memory first.
//
// The writer comes from the beginning, so this thread comes from the end: where they meet, all is
// there. Did it run ahead instead, both would wait at the same page, or clear it twice. What is
// written all over from the first (slots of ids) stands last, so that it comes first here.
#include <sys/mman.h>

#include <atomic>
#include <memory>
#include <new>
#include <system_error>
#include <thread>

#include "pane_table.h"
#include "prefault.h"

// Linux 5.14; headers may be older than the kernel.
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace rec {
namespace {

constexpr size_t kTablesMax = 16;
constexpr uintptr_t kPage = 4096;
// At once: a large page, after which it looks whether it is to stop.
constexpr uintptr_t kStep = 2 << 20;

// [from, to), addresses.
struct Span {
  uintptr_t from;
  uintptr_t to;
};

struct Prefault {
  // Two of each table.
  Span spans[2 * kTablesMax];
  size_t count = 0;
  std::atomic<bool> stopped{false};
  std::thread thread;

  ~Prefault() {
    stopped.store(true, std::memory_order_relaxed);
    if (thread.joinable()) thread.join();
  }

  void add(const Memory& memory) {
    if (memory.bytes == 0) return;
    const auto at = reinterpret_cast<uintptr_t>(memory.from);
    spans[count++] = {at & ~(kPage - 1), (at + memory.bytes + kPage - 1) & ~(kPage - 1)};
  }

  void run() const {
    for (size_t i = count; i-- > 0;) {
      for (uintptr_t to = spans[i].to; to > spans[i].from;) {
        if (stopped.load(std::memory_order_relaxed)) return;
        const uintptr_t step = (to - 1) & ~(kStep - 1);
        const uintptr_t from = step > spans[i].from ? step : spans[i].from;
        // Refused by an older kernel, or out of memory: the writer will see.
        if (madvise(reinterpret_cast<void*>(from), to - from, MADV_POPULATE_WRITE) != 0) return;
        to = from;
      }
    }
  }
};

// Full rows and slots of a pane table, or slots and entries of an id table.
int32_t memory_of(const rec_expected_rows& expected, Memory (&out)[2]) {
  const auto [handle, rows, full_rows] = expected;
  const auto* table = lookup<PaneTable>(handle, kPaneTable);
  if (table == nullptr) {
    if (registry_get(handle, kIdTable) == nullptr) return REC_BAD_HANDLE;
    return memory_of_ids(handle, rows, out) ? REC_OK : REC_BAD_ARGUMENT;
  }
  if (rows > table->rows) return REC_BAD_ARGUMENT;
  const uint64_t full = full_rows < table->full_max ? full_rows : table->full_max;
  out[0] = {table->full_at(0), 8 * full * table->full_words};
  out[1] = {table->slot_at(0), uint64_t{8} * rows * table->slot_words};
  return REC_OK;
}

}  // namespace
}  // namespace rec

int32_t rec_prefault_start(const rec_expected_rows* expected, size_t count) {
  if (count > rec::kTablesMax) return REC_BAD_ARGUMENT;
  std::unique_ptr<rec::Prefault> prefault(new (std::nothrow) rec::Prefault());
  if (!prefault) return REC_NO_MEMORY;
  for (size_t i = 0; i < count; i++) {
    rec::Memory memory[2];
    const int32_t status = rec::memory_of(expected[i], memory);
    if (status != REC_OK) return status;
    for (const rec::Memory& one : memory) prefault->add(one);
  }
  try {
    prefault->thread = std::thread([of = prefault.get()] { of->run(); });
  } catch (const std::system_error&) {
    // No thread to be had: the writer touches all of it itself.
  }
  return rec::adopt(rec::kPrefault, prefault.release());
}

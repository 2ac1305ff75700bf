// Records of one size in a file, for rows that left memory. The file is scratch, emptied when it is
// opened: what a checkpoint keeps of a table holds its rows themselves, wherever they stand.
//
//   record    checksum of the words and of a tag that the reader knows u64 | words
//
// Reading takes no lock. Everything else is called under the lock of the table.
#pragma once
#include <memory>
#include <new>

#include "shared_memory.h"

namespace rec {

enum Direction { kComing, kLeaving };

// Room for a row of this thread's own on its way from a file, or to it; it grows to the largest and
// stays. Null: no memory.
template <Direction>
inline uint64_t* own_words(size_t count) {
  static thread_local std::unique_ptr<uint64_t[]> words;
  static thread_local size_t length = 0;
  if (length < count) {
    words.reset(new (std::nothrow) uint64_t[count]);
    length = words ? count : 0;
  }
  return words.get();
}

class SpillFile {
 public:
  static constexpr uint32_t kNone = 0xffffffff;

  SpillFile() = default;
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;
  ~SpillFile();

  // REC_OK, or why the file cannot be used.
  int32_t open(const char* path, size_t words, uint32_t records_max);
  bool is_open() const { return file_ >= 0; }

  // Where the record stands from now on; kNone where there is no room, or the disk refuses.
  uint32_t write(const uint64_t* words, uint64_t tag);
  // False where the record is damaged or has another tag, or, unless it `waits`, is not in the page
  // cache: then it is fetched.
  bool read(uint32_t position, uint64_t tag, bool waits, uint64_t* out) const;
  // The position may be written again.
  void give_back(uint32_t position);
  // All of them.
  void clear();

  uint32_t records() const { return load(&records_); }
  // Positions that were ever written.
  uint32_t positions() const { return end_; }

 private:
  // Of a free position: the next one.
  uint32_t* next_of(uint32_t position) const {
    return reinterpret_cast<uint32_t*>(free_.data()) + position;
  }

  int file_ = -1;
  size_t words_ = 0;
  size_t bytes_ = 0;  // of a record
  uint32_t max_ = 0;
  uint32_t end_ = 0;           // positions so far
  uint32_t records_ = 0;       // atomic: positions in use
  uint32_t first_free_ = kNone;
  Region free_;
};

}  // namespace rec

// Records in a file: see spill_file.h.
#include "spill_file.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace rec {
namespace {

// Four sums side by side, so that one multiplication need not wait for the one before.
uint64_t checksum(const uint64_t* words, size_t count, uint64_t tag) {
  constexpr uint64_t kPrime = 0x9e3779b97f4a7c15;
  uint64_t sums[4] = {tag, 2, 3, 4};
  for (size_t i = 0; i < count; i++) {
    uint64_t& sum = sums[i & 3];
    sum = (sum ^ words[i]) * kPrime;
    sum ^= sum >> 32;
  }
  uint64_t all = count;
  for (const uint64_t sum : sums) {
    all = (all ^ sum) * kPrime;
    all ^= all >> 32;
  }
  return all;
}

// All bytes of a record, which stands in two pieces in memory, or false.
bool write_all(int file, const iovec* pieces, size_t bytes, off_t at) {
  for (;;) {
    const ssize_t written = pwritev(file, pieces, 2, at);
    if (written == static_cast<ssize_t>(bytes)) return true;
    if (written < 0 && errno == EINTR) continue;
    return false;
  }
}

bool read_all(int file, const iovec* pieces, size_t bytes, off_t at, int flags) {
  for (;;) {
    const ssize_t got = preadv2(file, pieces, 2, at, flags);
    if (got == static_cast<ssize_t>(bytes)) return true;
    if (got < 0 && errno == EINTR) continue;
    // A file system that cannot say what is in memory is read like any other.
    if (got < 0 && errno == EOPNOTSUPP && flags != 0) flags = 0;
    else return false;
  }
}

}  // namespace

SpillFile::~SpillFile() {
  if (file_ >= 0) close(file_);
}

int32_t SpillFile::open(const char* path, size_t words, uint32_t records_max) {
  if (file_ >= 0 || records_max == 0 || records_max >= (1u << 31)) return REC_BAD_ARGUMENT;
  if (!free_.reserve(size_t{4} * records_max)) return REC_NO_MEMORY;
  file_ = ::open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file_ < 0) return REC_IO_FAILED;
  // Neighbours in the file have nothing to do with each other.
  posix_fadvise(file_, 0, 0, POSIX_FADV_RANDOM);
  words_ = words;
  bytes_ = 8 * (words + 1);
  max_ = records_max;
  return REC_OK;
}

uint32_t SpillFile::write(const uint64_t* words, uint64_t tag) {
  const bool is_new = first_free_ == kNone;
  const uint32_t position = is_new ? end_ : first_free_;
  if (position >= max_) return kNone;
  uint64_t sum = checksum(words, words_, tag);
  const iovec pieces[2] = {{&sum, 8}, {const_cast<uint64_t*>(words), bytes_ - 8}};
  if (!write_all(file_, pieces, bytes_, static_cast<off_t>(position * bytes_))) return kNone;
  if (is_new) end_++;
  else first_free_ = *next_of(position);
  store(&records_, records_ + 1);
  return position;
}

bool SpillFile::read(uint32_t position, uint64_t tag, bool waits, uint64_t* out) const {
  uint64_t sum = 0;
  const iovec pieces[2] = {{&sum, 8}, {out, bytes_ - 8}};
  const auto at = static_cast<off_t>(position * bytes_);
  if (!read_all(file_, pieces, bytes_, at, waits ? 0 : RWF_NOWAIT)) {
    if (!waits) posix_fadvise(file_, at, static_cast<off_t>(bytes_), POSIX_FADV_WILLNEED);
    return false;
  }
  return checksum(out, words_, tag) == sum;
}

void SpillFile::give_back(uint32_t position) {
  *next_of(position) = first_free_;
  first_free_ = position;
  store(&records_, records_ - 1);
}

void SpillFile::clear() {
  end_ = 0;
  first_free_ = kNone;
  store(&records_, 0u);
}

}  // namespace rec

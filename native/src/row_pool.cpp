// Which rows are in memory: see row_pool.h.
#include "row_pool.h"

namespace rec {
namespace {

// Rows in memory that are looked at to find the one that was used least recently.
constexpr uint32_t kLookedAt = 32;
// Time goes on so often while as many rows come in as memory has room for.
constexpr uint32_t kTimesEach = 64;
// Records that are looked at to find one whose row nobody writes just now.
constexpr uint32_t kFiledLookedAt = 64;

}  // namespace

bool RowPool::reserve(uint32_t rows, uint32_t row_words, uint32_t frames) {
  row_words_ = row_words;
  frames_max_ = frames < rows ? frames : rows;
  if (!frames_.reserve_dense(size_t{8} * row_words * frames_max_)) return false;
  return frames_max_ == rows || slots_.reserve_dense(size_t{8} * rows);
}

int32_t RowPool::open_file(const char* path, uint32_t records_max) {
  std::lock_guard<std::mutex> lock(moving_);
  if (file_.is_open() || records_max == 0 || records_max >= kInFile) return REC_BAD_ARGUMENT;
  if (!filed_.reserve(size_t{4} * records_max)) return REC_NO_MEMORY;
  return file_.open(path, row_words_ - 1, records_max);
}

uint64_t* RowPool::take(uint32_t row, uint32_t& even) {
  even = rec::begin_write(sequence_of(row));
  if (!has_slots()) {
    raise_to(&used_, row + 1);
    return frame_at(row);
  }
  const uint32_t place = load(place_of(row));
  if (!is_frame(place)) {
    cancel_write(sequence_of(row), even);
    return bring_in(row, even);
  }
  note_use(frame_at(place - 1));
  return frame_at(place - 1);
}

uint64_t* RowPool::words_of(uint32_t row, bool waits, bool& is_unready) {
  is_unready = false;
  if (!has_slots()) return frame_at(row);
  const uint32_t place = load(place_of(row));
  if (place == 0) return nullptr;
  if (is_frame(place)) {
    if (!waits) note_use(frame_at(place - 1));
    return frame_at(place - 1);
  }
  uint64_t* words = fetch(row, place, load(sequence_of(row)), waits);
  is_unready = words == nullptr;
  return words;
}

// The row of a record in the file, or null. `sequence`: the row's number while it stands there.
uint64_t* RowPool::fetch(uint32_t row, uint32_t place, uint32_t sequence, bool waits) const {
  uint64_t* words = own_words<kComing>(row_words_);
  if (words == nullptr) return nullptr;
  const bool is_read = file_.read(place & ~kInFile, tag_of(row, sequence), waits, words + 1);
  return is_read ? words : nullptr;
}

uint64_t* RowPool::bring_in(uint32_t row, uint32_t& even) {
  uint32_t* sequence = sequence_of(row);
  uint32_t place = load(place_of(row));
  const uint32_t before = load(sequence) & ~1u;
  // Nobody has to wait for the lock while this waits for the disk.
  const uint64_t* words = is_filed(place) ? fetch(row, place, before, true) : nullptr;
  REC_RACE_POINT();
  std::lock_guard<std::mutex> lock(moving_);
  if (is_frame(load(place_of(row)))) {
    even = begin_write(sequence);
    return frame_at(load(place_of(row)) - 1);
  }
  uint64_t* frame = frame_at(free_frame());
  const bool is_moved = load(place_of(row)) != place || (load(sequence) & ~1u) != before;
  if (is_moved) {
    // It came and left again meanwhile, or left the file to make room.
    place = load(place_of(row));
    words = is_filed(place) ? fetch(row, place, load(sequence) & ~1u, true) : nullptr;
  }
  // Who still reads the row that had the frame finds that its number has changed.
  __atomic_thread_fence(__ATOMIC_RELEASE);
  if (words != nullptr) copy_in(frame + 1, words + 1, row_words_ - 1);
  else if (load(owner_of(frame)) != 0) zero(frame + 1, row_words_ - 1);
  store(owner_of(frame), row + 1);
  store(used_at(frame), now_);
  raise_to(&used_, row + 1);
  even = begin_write(sequence);
  store(place_of(row), static_cast<uint32_t>((frame - frame_at(0)) / row_words_) + 1);
  if (is_filed(place)) {
    leave_file(place & ~kInFile);
    count_one(words == nullptr ? &evicted_ : &brought_back_);
  }
  return frame;
}

// A frame that nobody has: the next one, or that of the row that was used least recently.
uint32_t RowPool::free_frame() {
  if (++brought_in_ % (frames_max_ / kTimesEach + 1) == 0) store(&now_, now_ + 1);
  if (frames_used_ < frames_max_) {
    store(&frames_used_, frames_used_ + 1);
    return frames_used_ - 1;
  }
  for (uint32_t spins = 0;; spins++) {
    const uint32_t frame = least_used();
    if (move_out(frame)) return frame;
    // Its owner is being written, which takes no lock and so ends.
    pause_for(spins);
  }
}

uint32_t RowPool::least_used() {
  uint32_t best = hand_;
  uint32_t best_age = 0;
  for (uint32_t i = 0; i < kLookedAt && i < frames_max_; i++) {
    const uint32_t age = now_ - load(used_at(frame_at(hand_)));
    if (age > best_age) {
      best = hand_;
      best_age = age;
    }
    hand_ = hand_ + 1 == frames_max_ ? 0 : hand_ + 1;
  }
  return best;
}

// The owner of the frame leaves memory; false where it is, or was meanwhile, written.
bool RowPool::move_out(uint32_t frame) {
  uint64_t* from = frame_at(frame);
  const uint32_t row = load(owner_of(from)) - 1;
  uint32_t* sequence = sequence_of(row);
  const uint32_t before = __atomic_load_n(sequence, __ATOMIC_ACQUIRE);
  if (before & 1) return false;
  uint64_t* words = own_words<kLeaving>(row_words_);
  if (words != nullptr) copy_out(words + 1, from + 1, row_words_ - 1);
  // The number that the row has once it has moved.
  const uint32_t left = words == nullptr ? 0 : write_out(words, row, before + 2);
  REC_RACE_POINT();
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  uint32_t even = 0;
  const bool is_taken = try_begin_write(sequence, even);
  if (!is_taken || even != before) {
    if (is_taken) cancel_write(sequence, even);
    if (left != 0) leave_file(left & ~kInFile);
    return false;
  }
  store(place_of(row), left);
  end_write(sequence, even);
  count_one(left == 0 ? &evicted_ : &moved_out_);
  return true;
}

// Where the row stands in the file; 0 where it has no room for it.
uint32_t RowPool::write_out(const uint64_t* words, uint32_t row, uint32_t sequence) {
  if (!file_.is_open()) return 0;
  const uint64_t tag = tag_of(row, sequence);
  uint32_t position = file_.write(words + 1, tag);
  if (position == SpillFile::kNone && drop_filed()) position = file_.write(words + 1, tag);
  if (position == SpillFile::kNone) return 0;
  store(filed_at(position), row + 1);
  return position | kInFile;
}

// Gives up a row in the file. Records are written, and looked at here, from the first to the last
// and round again, so that it is one of those that left memory longest ago.
bool RowPool::drop_filed() {
  const uint32_t positions = file_.positions();
  for (uint32_t i = 0; i < kFiledLookedAt && i < positions; i++) {
    const uint32_t position = filed_hand_ < positions ? filed_hand_ : 0;
    filed_hand_ = position + 1;
    const uint32_t owner = load(filed_at(position));
    uint32_t even = 0;
    if (owner == 0 || !try_begin_write(sequence_of(owner - 1), even)) continue;
    store(place_of(owner - 1), 0u);
    end_write(sequence_of(owner - 1), even);
    leave_file(position);
    count_one(&evicted_);
    return true;
  }
  return false;
}

void RowPool::leave_file(uint32_t position) {
  store(filed_at(position), 0u);
  file_.give_back(position);
}

void RowPool::clear() {
  std::lock_guard<std::mutex> lock(moving_);
  const uint32_t used = load(&used_);
  for (uint32_t row = 0; row < used; row++) {
    const uint32_t even = begin_write(sequence_of(row));
    if (has_slots()) store(place_of(row), 0u);
    else zero(frame_at(row) + 1, row_words_ - 1);
    end_write(sequence_of(row), even);
  }
  if (!has_slots()) return;
  __atomic_thread_fence(__ATOMIC_RELEASE);
  zero(frame_at(0), uint64_t{frames_used_} * row_words_);
  store(&frames_used_, 0u);
  hand_ = filed_hand_ = 0;
  file_.clear();
}

void RowPool::usage(double* out) const {
  const uint64_t counts[] = {has_slots() ? load(&frames_used_) : load(&used_), file_.records(),
                             load(&evicted_), load(&moved_out_), load(&brought_back_), 0,
                             load(&unready_)};
  for (int i = 0; i < 7; i++) out[i] = static_cast<double>(counts[i]);
}

}  // namespace rec

// Rows of one size, of which those used lately are in memory and the others in a file.
//
//   slot   sequence u32 | place u32                                    8 bytes, one a row
//   frame  owner + 1 u32 | time of its last use u32 | words            one a row in memory
//   place  0: never written | frame + 1 | kInFile + position in the file
//
// The sequence number of a row guards its place and its words, wherever they stand: who moves a row
// takes the number like any writer, so a reader that meets a move reads again. While a row is in
// the file its number stays as it is, and the record is known by row and number: an older record of
// the row, or one of another row, is never taken for it.
//
// Where there is a frame for every row nothing moves: frame r is row r's, its first half word is
// the sequence number, and there are no slots.
#pragma once
#include <mutex>

#include "shared_memory.h"
#include "spill_file.h"

namespace rec {

class RowPool {
 public:
  // `row_words` with the first one, which is the pool's own. False: no address space.
  bool reserve(uint32_t rows, uint32_t row_words, uint32_t frames);
  // A file for at most `records_max` rows that leave memory. REC_OK, or why it cannot be used.
  int32_t open_file(const char* path, uint32_t records_max);

  // A row that this thread alone writes as long as the object lives. It brings the row into memory,
  // for which another may leave; the words of one that was never written, or was lost, are zero.
  class Hold {
   public:
    Hold(RowPool& pool, uint32_t row)
        : sequence_(pool.sequence_of(row)), words_(pool.take(row, even_)) {}
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold() { end_write(sequence_, even_); }

    uint64_t* words() const { return words_; }

   private:
    uint32_t* sequence_;
    uint32_t even_ = 0;
    uint64_t* words_;
  };

  // `copy` gets the words of the row, again if a writer came between, and must bear a mixture.
  // False, after which what was copied means nothing: the row was never written, was lost, or only
  // the disk has it and the reader does not wait. Waiting readers are checks and checkpoints, whose
  // reads are no use of the row.
  template <class Copy>
  bool read(uint32_t row, bool waits, Copy copy) {
    bool is_there = false;
    bool is_unready = false;
    read_consistent(sequence_of(row), [&] {
      uint64_t* words = words_of(row, waits, is_unready);
      is_there = words != nullptr;
      if (is_there) copy(words);
    });
    if (is_unready) count_one(&unready_);
    return is_there;
  }

  // The words of a row that is in memory, or null: to be fetched ahead.
  uint64_t* in_memory(uint32_t row) const {
    if (!has_slots()) return frame_at(row);
    const uint32_t place = load(place_of(row));
    return is_frame(place) ? frame_at(place - 1) : nullptr;
  }
  // Call it some rows before `in_memory`, which then finds what it needs in the cache.
  void prefetch_slot(uint32_t row) const {
    if (has_slots()) __builtin_prefetch(sequence_of(row), 1);
  }

  uint32_t row_words() const { return row_words_; }

  // All rows as if never written.
  void clear();

  // usage[0..6] as rec_pane_table_usage has them: none of these rows is ever over.
  void usage(double* out) const;

 private:
  static constexpr uint32_t kInFile = 0x80000000;

  static bool is_frame(uint32_t place) { return place != 0 && (place & kInFile) == 0; }
  static bool is_filed(uint32_t place) { return (place & kInFile) != 0; }
  static uint64_t tag_of(uint32_t row, uint32_t sequence) {
    return uint64_t{row} << 32 | sequence;
  }

  bool has_slots() const { return slots_.data() != nullptr; }
  uint64_t* frame_at(uint32_t frame) const {
    return reinterpret_cast<uint64_t*>(frames_.data()) + uint64_t{frame} * row_words_;
  }
  static uint32_t* owner_of(uint64_t* frame) { return reinterpret_cast<uint32_t*>(frame); }
  static uint32_t* used_at(uint64_t* frame) { return reinterpret_cast<uint32_t*>(frame) + 1; }
  uint32_t* sequence_of(uint32_t row) const {
    return reinterpret_cast<uint32_t*>(has_slots() ? slots_.data() + size_t{8} * row
                                                   : frames_.data() + size_t{8} * row_words_ * row);
  }
  uint32_t* place_of(uint32_t row) const { return sequence_of(row) + 1; }
  // The row + 1 whose record stands there.
  uint32_t* filed_at(uint32_t position) const {
    return reinterpret_cast<uint32_t*>(filed_.data()) + position;
  }

  uint64_t* take(uint32_t row, uint32_t& even);
  uint64_t* words_of(uint32_t row, bool waits, bool& is_unready);
  uint64_t* fetch(uint32_t row, uint32_t place, uint32_t sequence, bool waits) const;
  void note_use(uint64_t* frame) {
    const uint32_t now = load(&now_);
    if (load(used_at(frame)) != now) store(used_at(frame), now);
  }

  uint64_t* bring_in(uint32_t row, uint32_t& even);
  uint32_t free_frame();
  uint32_t least_used();
  bool move_out(uint32_t frame);
  uint32_t write_out(const uint64_t* words, uint32_t row, uint32_t sequence);
  bool drop_filed();
  void leave_file(uint32_t position);

  Region frames_;
  Region slots_;
  uint32_t row_words_ = 0;
  uint32_t frames_max_ = 0;
  uint32_t used_ = 0;  // atomic: rows up to the largest that was written
  uint32_t now_ = 1;   // atomic: goes on as rows come into memory
  // What every move changes, away from what all threads look at all the time.
  alignas(64) std::mutex moving_;  // over frames and the file; nobody waits for it holding a row
  uint32_t frames_used_ = 0;       // atomic
  uint32_t brought_in_ = 0;
  uint32_t hand_ = 0;        // where the search for a row to leave memory goes on
  uint32_t filed_hand_ = 0;  // where the search for a row to leave the file goes on
  uint64_t evicted_ = 0;     // atomic, as are those below
  uint64_t moved_out_ = 0;
  uint64_t brought_back_ = 0;
  uint64_t unready_ = 0;
  Region filed_;
  SpillFile file_;
};

}  // namespace rec

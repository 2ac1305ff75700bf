// Rows of a pane table as bytes, each with the full row that it has: what a checkpoint keeps.
//
//   row    slot, its first word what follows | full row without its owner, or line of entries
//   words  in groups of 16: mask u16 of those that are not zero, then these, u64 each
//
// Most words of most rows are zero: a row takes about 45 bytes. What stands beside a slot has no
// place of its own in what is saved: it gets any that is free when it is loaded.
#include "pane_room.h"

namespace rec {
namespace {

uint32_t words_beside(const PaneTable& table, Saved saved) {
  if (saved == kAlone) return 0;
  return saved == kWithFull ? table.full_words - 1 : kOverflowWords;
}

// Words of a row as bytes at `to`; `word_at` gives each of them. Returns where it ends.
template <class WordAt>
uint8_t* pack(uint8_t* to, uint32_t count, WordAt word_at) {
  for (uint32_t from = 0; from < count; from += kGroupWords) {
    uint8_t* mask_at = to;
    to += 2;
    uint32_t mask = 0;
    for (uint32_t i = 0; i < kGroupWords && from + i < count; i++) {
      const uint64_t word = word_at(from + i);
      // Written always and kept only where it is not zero: no branch on what is in a row.
      memcpy(to, &word, 8);
      mask |= uint32_t{word != 0} << i;
      to += word != 0 ? 8 : 0;
    }
    const auto bits = static_cast<uint16_t>(mask);
    memcpy(mask_at, &bits, 2);
  }
  return to;
}

// How many of 16 bits are set. The base instruction set has no instruction for it, and the
// compiler's substitute is a call.
uint32_t ones(uint32_t bits) {
  bits -= bits >> 1 & 0x5555;
  bits = (bits & 0x3333) + (bits >> 2 & 0x3333);
  bits = (bits + (bits >> 4)) & 0x0f0f;
  return (bits + (bits >> 8)) & 0x1f;
}

// Where packed words end; null where they do not fit before `end` or say more than `count`.
const uint8_t* skip(const uint8_t* from, const uint8_t* end, uint32_t count) {
  for (uint32_t at = 0; at < count; at += kGroupWords) {
    if (end - from < 2) return nullptr;
    uint16_t mask;
    memcpy(&mask, from, 2);
    if (count - at < kGroupWords && mask >> (count - at)) return nullptr;
    from += 2;
    const auto bytes = static_cast<ptrdiff_t>(8 * ones(mask));
    if (end - from < bytes) return nullptr;
    from += bytes;
  }
  return from;
}

// Gives `take` each of `count` packed words, zeros too; they were looked through before.
template <class Take>
const uint8_t* unpack(const uint8_t* from, uint32_t count, Take take) {
  for (uint32_t at = 0; at < count; at += kGroupWords) {
    uint16_t mask;
    memcpy(&mask, from, 2);
    from += 2;
    for (uint32_t i = 0; i < kGroupWords && at + i < count; i++) {
      uint64_t word = 0;
      if (mask >> i & 1) {
        memcpy(&word, from, 8);
        from += 8;
      }
      take(at + i, word);
    }
  }
  return from;
}

uint8_t* save_row(const PaneTable& table, uint64_t* slot, uint8_t* out) {
  uint8_t* end = out;
  read_consistent(sequence_of(slot), [&] {
    const uint32_t beside = load(beside_of(slot));
    const uint64_t* full =
        is_spilled(beside) ? fetch_full(table, slot, beside, true) : full_of(table, beside);
    const uint64_t* line = overflow_of(table, beside);
    const Saved saved = full != nullptr ? kWithFull : line != nullptr ? kWithOverflow : kAlone;
    end = pack(out, table.slot_words, [&](uint32_t at) {
      return at == 0 ? uint64_t{saved} : load(slot + at);
    });
    if (saved == kAlone) return;
    const uint64_t* words = full != nullptr ? full + 1 : line;
    end = pack(end, words_beside(table, saved), [&](uint32_t at) { return load(words + at); });
  });
  return end;
}

bool is_entry(const PaneTable& table, uint64_t word) {
  return entry_counter(word) < table.counters && entry_windows(word) >> table.window_count == 0;
}

// Whether the words of a saved slot can be one of this table.
bool loadable(const PaneTable& table, const uint64_t* slot) {
  if (slot[0] > kWithOverflow) return false;
  if (slot[1] > (1ull << 52) + 1 || slot[2] > (1ull << 53) + 1) return false;
  for (uint32_t at = table.entries_at; at < table.slot_words; at++) {
    if (!is_entry(table, slot[at])) return false;
  }
  return true;
}

// Rows in what `save` wrote; -1 where it is of another shape.
int64_t saved_rows(const PaneTable& table, const uint8_t* data, size_t length) {
  const uint8_t* end = data + length;
  int64_t rows = 0;
  uint64_t slot[kSlotWordsMax];
  for (; data != end; rows++) {
    const uint8_t* after = skip(data, end, table.slot_words);
    if (after == nullptr) return -1;
    unpack(data, table.slot_words, [&](uint32_t at, uint64_t word) { slot[at] = word; });
    if (!loadable(table, slot)) return -1;
    const auto saved = static_cast<Saved>(slot[0]);
    data = skip(after, end, words_beside(table, saved));
    if (data == nullptr) return -1;
    bool fits = true;
    if (saved == kWithOverflow) {
      unpack(after, kOverflowWords,
             [&](uint32_t, uint64_t word) { fits = fits && is_entry(table, word); });
    }
    if (!fits) return -1;
  }
  return rows;
}

// Another row may have to leave memory for it: that is done before the slot is taken.
const uint8_t* load_row(PaneTable& table, uint32_t row, const uint8_t* from) {
  uint64_t* slot = table.slot_at(row);
  uint64_t words[kSlotWordsMax];
  from = unpack(from, table.slot_words, [&](uint32_t at, uint64_t word) { words[at] = word; });
  const auto saved = static_cast<Saved>(words[0]);
  const uint32_t beside = beside_to_load(table, slot, saved);
  // It then keeps its totals, like one that gave way.
  if (saved == kWithFull && beside == 0) count_one(&table.evicted);
  const uint32_t even = begin_write(sequence_of(slot));
  for (uint32_t at = 1; at < table.slot_words; at++) store(slot + at, words[at]);
  uint64_t* full = full_of(table, beside);
  uint64_t* to = full != nullptr ? full + 1 : overflow_of(table, beside);
  from = unpack(from, words_beside(table, saved), [&](uint32_t at, uint64_t word) {
    if (to != nullptr) store(to + at, word);
  });
  store(beside_of(slot), beside);
  end_write(sequence_of(slot), even);
  return from;
}

PaneTable* table_of(int32_t handle) { return lookup<PaneTable>(handle, kPaneTable); }

}  // namespace
}  // namespace rec

using rec::PaneTable;

int64_t rec_pane_table_save(int32_t handle, uint32_t first, uint32_t count, uint8_t* out,
                            size_t out_length) {
  const PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (!rec::range_in(first, count, table->rows) || out_length / rec::saved_max(*table) < count) {
    return REC_BAD_ARGUMENT;
  }
  constexpr uint32_t kAhead = 8;
  uint8_t* to = out;
  for (uint32_t i = 0; i < count; i++) {
    if (i + kAhead < count) {
      const uint32_t beside = rec::load(rec::beside_of(table->slot_at(first + i + kAhead)));
      __builtin_prefetch(rec::overflow_of(*table, beside));
    }
    to = rec::save_row(*table, table->slot_at(first + i), to);
  }
  return to - out;
}

int64_t rec_pane_table_load(int32_t handle, uint32_t first, const uint8_t* data,
                            size_t data_length) {
  PaneTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const int64_t rows = rec::saved_rows(*table, data, data_length);
  if (rows < 0 || rows > table->rows || first > table->rows - rows) return REC_BAD_ARGUMENT;
  for (int64_t i = 0; i < rows; i++) {
    data = rec::load_row(*table, first + static_cast<uint32_t>(i), data);
  }
  if (rows > 0) rec::raise_to(&table->used, first + static_cast<uint32_t>(rows));
  return rows;
}

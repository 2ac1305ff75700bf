// Which full rows are in memory: see pane_room.h.
#include "pane_room.h"

namespace rec {
namespace {

// Full rows that are looked at to find the one that was used least recently.
constexpr uint32_t kLookedAt = 32;
// Slots that are looked at for what is over, with each record written, and once there is no room.
constexpr uint32_t kSweptEach = 16;
constexpr uint32_t kSweptForRoom = 4096;

// The slot has no windows from now on, but for what stands in the file: `left`, or 0.
void leave(const PaneTable& table, uint64_t* slot, uint32_t left) {
  store(beside_of(slot), left);
  zero(slot + table.entries_at, table.slot_words - table.entries_at);
}

// Gives back records of rows that are over, of the next `slots`.
void sweep_file(PaneTable& table, uint32_t slots, uint64_t now) {
  const uint32_t used = load(&table.used);
  if (used == 0) return;
  for (uint32_t i = 0; i < slots && i < used; i++) {
    table.sweep = table.sweep + 1 < used ? table.sweep + 1 : 0;
    uint64_t* slot = table.slot_at(table.sweep);
    const uint32_t index = load(beside_of(slot));
    if (!is_spilled(index) || !is_over(table, load(slot + 1), now)) continue;
    uint32_t even = 0;
    if (!try_begin_write(sequence_of(slot), even)) continue;
    if (load(beside_of(slot)) == index) {
      leave(table, slot, 0);
      table.file.give_back(index & ~kSpilled);
      count_one(&table.expired);
    }
    end_write(sequence_of(slot), even);
  }
}

// What the slot says of a full row whose words are in the file now; 0 where it has no room.
uint32_t write_out(PaneTable& table, const uint64_t* words, uint64_t tag, uint64_t now) {
  if (!table.file.is_open()) return 0;
  sweep_file(table, kSweptEach, now);
  uint32_t position = table.file.write(words, tag);
  if (position == SpillFile::kNone) {
    sweep_file(table, kSweptForRoom, now);
    position = table.file.write(words, tag);
  }
  return position == SpillFile::kNone ? 0 : position | kSpilled;
}

// Takes the full row away from its owner; false while another thread writes the owner.
bool take_from_owner(PaneTable& table, uint32_t index, uint64_t now) {
  uint64_t* full = table.full_at(index);
  const uint64_t owner = load(full);
  if (owner == 0) return true;
  uint64_t* slot = table.slot_at(static_cast<uint32_t>(owner - 1));
  uint32_t before = __atomic_load_n(sequence_of(slot), __ATOMIC_ACQUIRE);
  if (before & 1) return false;
  const bool is_owner = load(beside_of(slot)) == index + 1;
  const bool is_read = is_owner && !is_over(table, load(slot + 1), now);
  uint32_t left = 0;
  if (is_read) {
    uint64_t* words = own_words<kLeaving>(table.full_words);
    if (words != nullptr) {
      copy_out(words, full, table.full_words);
      left = write_out(table, words, tag_of(slot), now);
    }
  }
  uint32_t even = 0;
  const bool is_taken = try_begin_write(sequence_of(slot), even);
  if (!is_taken || even != before) {
    if (is_taken) end_write(sequence_of(slot), even);
    if (left != 0) table.file.give_back(left & ~kSpilled);
    return false;
  }
  if (is_owner) leave(table, slot, left);
  end_write(sequence_of(slot), even);
  if (left != 0) count_one(&table.moved_out);
  if (is_read && left == 0) count_one(&table.evicted);
  return true;
}

// The newest event time of a full row's owner; 0 where it has none.
uint64_t last_used(const PaneTable& table, uint32_t index) {
  const uint64_t owner = load(table.full_at(index));
  return owner == 0 ? 0 : load(table.slot_at(static_cast<uint32_t>(owner - 1)) + 1);
}

// Of the next full rows that is given up whose row was used least recently. Index + 1, or 0.
uint32_t give_way(PaneTable& table, uint64_t now) {
  for (uint32_t attempt = 0; attempt < 4; attempt++) {
    uint32_t best = table.full_max;
    uint64_t best_time = 0;
    for (uint32_t i = 0; i < kLookedAt; i++) {
      const uint32_t index = table.hand;
      table.hand = table.hand + 1 == table.full_max ? 0 : table.hand + 1;
      const uint64_t time = last_used(table, index);
      if (best != table.full_max && time >= best_time) continue;
      best = index;
      best_time = time;
    }
    if (best != table.full_max && take_from_owner(table, best, now)) return best + 1;
  }
  return 0;
}

// A full row that nobody has. Index + 1, or 0.
uint32_t find_full(PaneTable& table, uint64_t now) {
  uint32_t index = table.spare;
  table.spare = 0;
  if (index != 0) return index;
  if (table.full_used == table.full_max) return give_way(table, now);
  store(&table.full_used, table.full_used + 1);
  return table.full_used;
}

// The row is written by this thread alone: what its slot says stays as it is until the end.
void bring_back(PaneTable& table, uint64_t* slot, uint32_t index, uint64_t now) {
  const bool over = is_over(table, load(slot + 1), now);
  const uint32_t taken = over ? 0 : find_full(table, now);
  const uint64_t* words = taken == 0 ? nullptr : fetch_full(table, slot, index, true);
  if (words != nullptr) copy_in(table.full_at(taken - 1), words, table.full_words);
  if (words == nullptr) table.spare = taken;
  const uint32_t even = begin_write(sequence_of(slot));
  leave(table, slot, words == nullptr ? 0 : taken);
  end_write(sequence_of(slot), even);
  table.file.give_back(index & ~kSpilled);
  count_one(over ? &table.expired : words == nullptr ? &table.evicted : &table.brought_back);
}

// Finds a full row and says whose it is. Index + 1, or 0.
uint32_t own_full(PaneTable& table, const uint64_t* slot, uint64_t now) {
  const uint32_t index = find_full(table, now);
  if (index != 0) store(table.full_at(index - 1), uint64_t{table.row_of(slot)} + 1);
  return index;
}

// A line of entries that nobody has. What a slot with it has beside.
uint32_t find_overflow(PaneTable& table) {
  uint32_t index = table.overflow_free;
  if (index == 0) return ++table.overflow_used | kOverflow;
  table.overflow_free = static_cast<uint32_t>(load(table.overflow_at(index - 1)));
  return index | kOverflow;
}

void leave_overflow(PaneTable& table, uint32_t beside) {
  const uint32_t index = beside & ~kOverflow;
  store(table.overflow_at(index - 1), uint64_t{table.overflow_free});
  table.overflow_free = index;
}

}  // namespace

void make_room(PaneTable& table, uint64_t* slot, uint64_t now) {
  const uint32_t index = load(beside_of(slot));
  if (is_spilled(index)) {
    std::lock_guard<std::mutex> lock(table.giving);
    // A sweep may have been here meanwhile.
    if (load(beside_of(slot)) == index) bring_back(table, slot, index, now);
  } else if (is_overflow(index) && load(overflow_of(table, index) + kOverflowWords - 1) != 0) {
    std::lock_guard<std::mutex> lock(table.giving);
    if (table.spare == 0 && table.full_used == table.full_max) table.spare = give_way(table, now);
  }
}

uint32_t take_full(PaneTable& table, uint64_t* slot, uint64_t now) {
  std::lock_guard<std::mutex> lock(table.giving);
  const uint32_t index = own_full(table, slot, now);
  if (index != 0) zero(table.full_at(index - 1) + 1, table.full_words - 1);
  return index;
}

uint32_t take_overflow(PaneTable& table) {
  std::lock_guard<std::mutex> lock(table.giving);
  const uint32_t beside = find_overflow(table);
  zero(overflow_of(table, beside), kOverflowWords);
  return beside;
}

void give_back_overflow(PaneTable& table, uint32_t beside) {
  std::lock_guard<std::mutex> lock(table.giving);
  leave_overflow(table, beside);
}

uint32_t beside_to_load(PaneTable& table, uint64_t* slot, Saved wanted) {
  const uint32_t beside = load(beside_of(slot));
  if (beside == 0 && wanted == kAlone) return 0;
  std::lock_guard<std::mutex> lock(table.giving);
  if (wanted == kWithFull && is_full(beside)) return beside;
  if (wanted == kWithOverflow && is_overflow(beside)) return beside;
  if (is_spilled(beside) || is_overflow(beside)) {
    const uint32_t even = begin_write(sequence_of(slot));
    leave(table, slot, 0);
    end_write(sequence_of(slot), even);
    if (is_spilled(beside)) table.file.give_back(beside & ~kSpilled);
    else leave_overflow(table, beside);
  }
  if (wanted == kAlone) return 0;
  return wanted == kWithFull ? own_full(table, slot, 0) : find_overflow(table);
}

}  // namespace rec

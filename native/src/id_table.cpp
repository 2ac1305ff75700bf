// Ids to dense rows. Open addressing with linear probing; a slot is 64 bits: 32 of hash, row + 1.
// Rows, bytes and slots are only ever added, so finding takes no lock: a writer stores the bytes,
// then the entry, then the slot with release.
//
// The slots grow by levels, so that a table reserved for millions touches no more pages than its
// ids need, and no insertion pays for all others: while level L is being filled from level L - 1
// (a few old slots with every insertion), a finder looks in L, then in L - 1, which stays as it
// is. Every id is in one of them at every moment.
#include <memory>
#include <mutex>
#include <new>

#include "prefault.h"
#include "shared_memory.h"

namespace rec {
namespace {

constexpr uint32_t kFirstLevelBits = 10;
constexpr uint32_t kCapacityMax = 1u << 28;
constexpr uint32_t kIdBytesMax = 4096;
constexpr uint32_t kMovedPerInsert = 16;

uint64_t mix(uint64_t h) {  // MurmurHash3 finaliser
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccdULL;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53ULL;
  return h ^ (h >> 33);
}

uint32_t hash_bytes(const uint8_t* bytes, uint32_t length) {
  uint64_t h = 0x9e3779b97f4a7c15ULL ^ length;
  uint32_t at = 0;
  for (; at + 8 <= length; at += 8) {
    uint64_t word;
    memcpy(&word, bytes + at, 8);
    h = mix(h ^ word) + 0x9e3779b97f4a7c15ULL;
  }
  uint64_t rest = 0;
  if (at < length) memcpy(&rest, bytes + at, length - at);
  return static_cast<uint32_t>(mix(h ^ rest) >> 32);
}

uint32_t hash_pair(uint32_t a, uint32_t b) {
  return static_cast<uint32_t>(mix((static_cast<uint64_t>(a) << 32) | b) >> 32);
}

struct IdTable {
  uint32_t capacity = 0;
  uint64_t bytes_max = 0;  // 0: pairs
  uint32_t level_last = 0;
  Region slots;    // levels of 2^(bits) slots, one after the other
  Region entries;  // u64 a row: offset << 16 | length, or the pair
  Region bytes;
  std::mutex writing;
  uint64_t bytes_used = 0;
  uint64_t moved = 0;     // slots of the level below that were copied up
  uint32_t filled = 0;    // atomic: entries that may be read; grows before the slot is there
  uint32_t size = 0;      // atomic: ids that are found; grows after it
  uint32_t state = 0;     // atomic: level << 1 | still moving

  bool pairs() const { return bytes_max == 0; }
  static uint64_t level_slots(uint32_t level) { return uint64_t{1} << (kFirstLevelBits + level); }
  uint64_t* level_at(uint32_t level) const {
    return reinterpret_cast<uint64_t*>(slots.data()) + (level_slots(level) - level_slots(0));
  }
  uint64_t* entry_at(uint32_t row) const {
    return reinterpret_cast<uint64_t*>(entries.data()) + row;
  }
};

// Same id as the one behind `row`. A pair is its own entry.
struct Key {
  const uint8_t* id;
  uint64_t length_or_pair;
  uint32_t hash;
};

bool same(const IdTable& table, uint32_t row, const Key& key) {
  const uint64_t entry = load(table.entry_at(row));
  if (table.pairs()) return entry == key.length_or_pair;
  if ((entry & 0xffff) != key.length_or_pair) return false;
  return memcmp(table.bytes.data() + (entry >> 16), key.id, key.length_or_pair) == 0;
}

int64_t find_in(const IdTable& table, uint32_t level, const Key& key) {
  const uint64_t mask = IdTable::level_slots(level) - 1;
  const uint64_t* slots = table.level_at(level);
  for (uint64_t at = key.hash & mask;; at = (at + 1) & mask) {
    const uint64_t slot = __atomic_load_n(slots + at, __ATOMIC_ACQUIRE);
    if (slot == 0) return REC_NONE;
    if ((slot >> 32) != key.hash) continue;
    const uint32_t row = static_cast<uint32_t>(slot) - 1;
    if (same(table, row, key)) return row;
  }
}

int64_t find(const IdTable& table, const Key& key) {
  const uint32_t state = __atomic_load_n(&table.state, __ATOMIC_ACQUIRE);
  const int64_t row = find_in(table, state >> 1, key);
  if (row >= 0 || (state & 1) == 0) return row;
  return find_in(table, (state >> 1) - 1, key);
}

void put(IdTable& table, uint32_t level, uint64_t slot) {
  const uint64_t mask = IdTable::level_slots(level) - 1;
  uint64_t* slots = table.level_at(level);
  uint64_t at = (slot >> 32) & mask;
  while (load(slots + at) != 0) at = (at + 1) & mask;
  __atomic_store_n(slots + at, slot, __ATOMIC_RELEASE);
}

// Opens the next level when this one is over half full. Moving ends long before that: a level
// has twice the slots of the one below, and sixteen are moved with each insertion.
void grow(IdTable& table) {
  uint32_t state = load(&table.state);
  if ((state & 1) == 0 && table.size * uint64_t{2} >= IdTable::level_slots(state >> 1) &&
      (state >> 1) < table.level_last) {
    state = (((state >> 1) + 1) << 1) | 1;
    table.moved = 0;
    __atomic_store_n(&table.state, state, __ATOMIC_RELEASE);
  }
  if ((state & 1) == 0) return;
  const uint32_t below = (state >> 1) - 1;
  const uint64_t end = IdTable::level_slots(below);
  for (uint32_t i = 0; i < kMovedPerInsert && table.moved < end; i++, table.moved++) {
    const uint64_t slot = load(table.level_at(below) + table.moved);
    if (slot != 0) put(table, state >> 1, slot);
  }
  if (table.moved == end) __atomic_store_n(&table.state, state & ~1u, __ATOMIC_RELEASE);
}

int64_t insert(IdTable& table, const Key& key) {
  if (table.size == table.capacity) return REC_FULL;
  uint64_t entry = key.length_or_pair;
  if (!table.pairs()) {
    if (table.bytes_used + key.length_or_pair > table.bytes_max) return REC_FULL;
    memcpy(table.bytes.data() + table.bytes_used, key.id, key.length_or_pair);
    entry |= table.bytes_used << 16;
    table.bytes_used += key.length_or_pair;
  }
  grow(table);
  const uint32_t row = table.size;
  store(table.entry_at(row), entry);
  __atomic_store_n(&table.filled, row + 1, __ATOMIC_RELEASE);
  REC_RACE_POINT();
  put(table, load(&table.state) >> 1, (static_cast<uint64_t>(key.hash) << 32) | (row + 1));
  __atomic_store_n(&table.size, row + 1, __ATOMIC_RELEASE);
  return row;
}

// The level that has room for so many ids.
uint32_t level_for(const IdTable& table, uint32_t ids) {
  uint32_t level = 0;
  while (level < table.level_last && IdTable::level_slots(level) <= uint64_t{2} * ids) level++;
  return level;
}

// A level for so many ids at once: an empty table need not grow there level by level.
void make_room(IdTable& table, uint32_t ids) {
  if (table.size != 0) return;
  __atomic_store_n(&table.state, level_for(table, ids) << 1, __ATOMIC_RELEASE);
}

int64_t intern(IdTable& table, const Key& key) {
  const int64_t known = find(table, key);
  if (known >= 0) return known;
  std::lock_guard<std::mutex> lock(table.writing);
  const int64_t meanwhile = find(table, key);
  return meanwhile >= 0 ? meanwhile : insert(table, key);
}

IdTable* table_of(int32_t handle) { return lookup<IdTable>(handle, kIdTable); }

Key pair_key(uint32_t a, uint32_t b) {
  return {nullptr, (static_cast<uint64_t>(a) << 32) | b, hash_pair(a, b)};
}

// The slot of a pair that will be looked at.
void prefetch_pair(const IdTable& table, const uint32_t* pair) {
  const uint32_t level = load(&table.state) >> 1;
  __builtin_prefetch(table.level_at(level) +
                     (hash_pair(pair[0], pair[1]) & (IdTable::level_slots(level) - 1)), 1);
}

// The slot of a pair some places ahead; of a nearer one, whose slot is there, the entry.
void prefetch_pairs(const IdTable& table, const int32_t* as, const int32_t* bs, size_t i,
                    size_t count) {
  constexpr size_t kSlotAhead = 16;
  constexpr size_t kEntryAhead = 8;
  const uint32_t level = load(&table.state) >> 1;
  const uint64_t mask = IdTable::level_slots(level) - 1;
  const uint64_t* slots = table.level_at(level);
  const auto hash_of = [&](size_t at) {
    return hash_pair(static_cast<uint32_t>(as[at]), static_cast<uint32_t>(bs[at]));
  };
  if (i + kSlotAhead < count) __builtin_prefetch(slots + (hash_of(i + kSlotAhead) & mask));
  if (i + kEntryAhead >= count) return;
  const uint32_t hash = hash_of(i + kEntryAhead);
  const uint64_t slot = load(slots + (hash & mask));
  if ((slot >> 32) == hash && slot != 0) {
    __builtin_prefetch(table.entry_at(static_cast<uint32_t>(slot) - 1));
  }
}

// Bytes of the ids of `count` rows from `first`: they stand one after the other.
uint64_t bytes_between(const IdTable& table, uint32_t first, uint32_t count) {
  if (count == 0) return 0;
  const uint64_t last = load(table.entry_at(first + count - 1));
  return (last >> 16) + (last & 0xffff) - (load(table.entry_at(first)) >> 16);
}

bool texts_in(const IdTable& table, uint32_t first, uint32_t count) {
  const uint32_t filled = __atomic_load_n(&table.filled, __ATOMIC_ACQUIRE);
  return !table.pairs() && range_in(first, count, filled);
}

bool usable(const IdTable& table, uint32_t id_bytes) {
  return !table.pairs() && id_bytes > 0 && id_bytes <= kIdBytesMax;
}

}  // namespace

bool memory_of_ids(int32_t handle, uint32_t ids, Memory (&out)[2]) {
  const IdTable* table = table_of(handle);
  if (table == nullptr || ids > table->capacity) return false;
  const bool is_empty = __atomic_load_n(&table->size, __ATOMIC_ACQUIRE) == 0 && ids > 0;
  const uint32_t level = level_for(*table, ids);
  out[0] = {table->level_at(level), is_empty ? 8 * IdTable::level_slots(level) : 0};
  out[1] = {table->entry_at(0), is_empty ? uint64_t{8} * ids : 0};
  return true;
}

}  // namespace rec

using rec::IdTable;

int32_t rec_id_table_create(uint32_t capacity, uint64_t bytes_max) {
  if (capacity == 0 || capacity > rec::kCapacityMax || bytes_max >> 46) return REC_BAD_ARGUMENT;
  std::unique_ptr<IdTable> table(new (std::nothrow) IdTable());
  if (!table) return REC_NO_MEMORY;
  table->capacity = capacity;
  table->bytes_max = bytes_max;
  while (IdTable::level_slots(table->level_last) < uint64_t{2} * capacity) table->level_last++;
  const uint64_t slots = IdTable::level_slots(table->level_last + 1) - IdTable::level_slots(0);
  if (!table->slots.reserve(8 * slots) || !table->entries.reserve(8 * uint64_t{capacity}) ||
      (bytes_max > 0 && !table->bytes.reserve(bytes_max))) {
    return REC_NO_MEMORY;
  }
  return rec::adopt(rec::kIdTable, table.release());
}

int64_t rec_id_table_size(int32_t handle) {
  const IdTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  return __atomic_load_n(&table->size, __ATOMIC_ACQUIRE);
}

int64_t rec_id_table_intern(int32_t handle, const uint8_t* id, uint32_t id_bytes) {
  IdTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (!rec::usable(*table, id_bytes)) return REC_BAD_ARGUMENT;
  return rec::intern(*table, {id, id_bytes, rec::hash_bytes(id, id_bytes)});
}

int64_t rec_id_table_find(int32_t handle, const uint8_t* id, uint32_t id_bytes) {
  const IdTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (table->pairs()) return REC_BAD_ARGUMENT;
  if (!rec::usable(*table, id_bytes)) return REC_NONE;
  return rec::find(*table, {id, id_bytes, rec::hash_bytes(id, id_bytes)});
}

int64_t rec_id_table_id(int32_t handle, int32_t row, const uint8_t** id) {
  const IdTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const uint32_t filled = __atomic_load_n(&table->filled, __ATOMIC_ACQUIRE);
  if (table->pairs() || !rec::row_in(row, filled)) return REC_BAD_ARGUMENT;
  const uint64_t entry = rec::load(table->entry_at(static_cast<uint32_t>(row)));
  *id = table->bytes.data() + (entry >> 16);
  return static_cast<int64_t>(entry & 0xffff);
}

int64_t rec_id_table_saved_bytes(int32_t handle, uint32_t first, uint32_t count) {
  const IdTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (!rec::texts_in(*table, first, count)) return REC_BAD_ARGUMENT;
  return static_cast<int64_t>(2 * uint64_t{count} + rec::bytes_between(*table, first, count));
}

int64_t rec_id_table_save(int32_t handle, uint32_t first, uint32_t count, uint8_t* out,
                          size_t out_length) {
  const int64_t bytes = rec_id_table_saved_bytes(handle, first, count);
  if (bytes < 0) return bytes;
  if (out_length < static_cast<uint64_t>(bytes)) return REC_BAD_ARGUMENT;
  const IdTable* table = rec::table_of(handle);
  for (uint32_t i = 0; i < count; i++) {
    const uint64_t entry = rec::load(table->entry_at(first + i));
    const uint16_t length = entry & 0xffff;
    memcpy(out, &length, 2);
    memcpy(out + 2, table->bytes.data() + (entry >> 16), length);
    out += 2 + length;
  }
  return bytes;
}

int64_t rec_id_table_load(int32_t handle, const uint8_t* data, size_t length) {
  IdTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  int64_t rows = 0;
  for (size_t at = 0; at < length; rows++) {
    uint16_t id_bytes = 0;
    if (length - at < 2) return REC_BAD_ARGUMENT;
    memcpy(&id_bytes, data + at, 2);
    at += 2;
    if (!rec::usable(*table, id_bytes) || length - at < id_bytes) return REC_BAD_ARGUMENT;
    const uint32_t next = rec::load(&table->size);
    const uint8_t* id = data + at;
    const int64_t row = rec::intern(*table, {id, id_bytes, rec::hash_bytes(id, id_bytes)});
    if (row < 0) return row;
    if (row != next) return REC_BAD_ARGUMENT;  // one that was there already
    at += id_bytes;
  }
  return rows;
}

int64_t rec_id_table_intern_pair(int32_t handle, uint32_t a, uint32_t b) {
  IdTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (!table->pairs()) return REC_BAD_ARGUMENT;
  return rec::intern(*table, rec::pair_key(a, b));
}

int64_t rec_id_table_intern_pairs(int32_t handle, const int32_t* as, const int32_t* bs,
                                  size_t count, int32_t* out) {
  IdTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (!table->pairs()) return REC_BAD_ARGUMENT;
  int64_t refused = 0;
  for (size_t i = 0; i < count; i++) {
    rec::prefetch_pairs(*table, as, bs, i, count);
    const int64_t row = rec::intern(
        *table, rec::pair_key(static_cast<uint32_t>(as[i]), static_cast<uint32_t>(bs[i])));
    out[i] = row < 0 ? REC_NONE : static_cast<int32_t>(row);
    if (row < 0) refused++;
  }
  return refused;
}

int32_t rec_id_table_find_pairs(int32_t handle, uint32_t a, const int32_t* bs, size_t count,
                                int32_t* out) {
  constexpr size_t kAhead = 8;
  const IdTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (!table->pairs()) return REC_BAD_ARGUMENT;
  const uint32_t level = __atomic_load_n(&table->state, __ATOMIC_ACQUIRE) >> 1;
  const uint64_t mask = IdTable::level_slots(level) - 1;
  const uint64_t* slots = table->level_at(level);
  for (size_t i = 0; i < count; i++) {
    if (i + kAhead < count) {
      const uint32_t hash = rec::hash_pair(a, static_cast<uint32_t>(bs[i + kAhead]));
      __builtin_prefetch(slots + (hash & mask));
    }
    out[i] = bs[i] < 0 ? REC_NONE
                       : static_cast<int32_t>(
                             rec::find(*table, rec::pair_key(a, static_cast<uint32_t>(bs[i]))));
  }
  return REC_OK;
}

int32_t rec_id_table_load_pairs(int32_t handle, uint32_t first, const uint32_t* pairs,
                                uint32_t count, uint32_t total) {
  constexpr uint32_t kAhead = 16;
  IdTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (!table->pairs() || !rec::range_in(first, count, total) || total > table->capacity) {
    return REC_BAD_ARGUMENT;
  }
  std::lock_guard<std::mutex> lock(table->writing);
  rec::make_room(*table, total);
  for (uint32_t i = 0; i < count; i++) {
    if (i + kAhead < count) rec::prefetch_pair(*table, pairs + 2 * (i + kAhead));
    const rec::Key key = rec::pair_key(pairs[2 * i], pairs[2 * i + 1]);
    const int64_t known = rec::find(*table, key);
    const int64_t row = known >= 0 ? known : rec::insert(*table, key);
    if (row != int64_t{first} + i) return REC_BAD_ARGUMENT;
  }
  return REC_OK;
}

int32_t rec_id_table_pairs(int32_t handle, uint32_t first, uint32_t count, uint32_t* out,
                           size_t out_length) {
  const IdTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const uint32_t filled = __atomic_load_n(&table->filled, __ATOMIC_ACQUIRE);
  if (!table->pairs() || !rec::range_in(first, count, filled) || out_length / 2 < count) {
    return REC_BAD_ARGUMENT;
  }
  for (uint32_t i = 0; i < count; i++) {
    const uint64_t entry = rec::load(table->entry_at(first + i));
    out[2 * i] = static_cast<uint32_t>(entry >> 32);
    out[2 * i + 1] = static_cast<uint32_t>(entry);
  }
  return REC_OK;
}

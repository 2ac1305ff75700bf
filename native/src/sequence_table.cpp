// The last `length` records of each row, newest last: a ring in a row of a pool. Any thread may
// push.
//
//   the pool's | count u32, next u32 | offset + 1 (u64) | length x words u32, padded to u64
#include <memory>
#include <new>

#include "row_pool.h"

namespace rec {
namespace {

constexpr uint32_t kHeaderWords = 3;

struct SequenceTable {
  uint32_t rows = 0;
  uint32_t length = 0;
  uint32_t words = 0;
  RowPool pool;
};

struct Header {
  uint32_t* count;
  uint32_t* next;
  uint64_t* offset;
  uint32_t* records;
};

Header header_of(uint64_t* row) {
  auto* halves = reinterpret_cast<uint32_t*>(row);
  return {halves + 2, halves + 3, row + 2, halves + 2 * kHeaderWords};
}

void write_record(const SequenceTable& table, Header header, uint32_t at, const uint32_t* record) {
  uint32_t* to = header.records + uint64_t{at} * table.words;
  for (uint32_t i = 0; i < table.words; i++) store(to + i, record[i]);
}

void push(const SequenceTable& table, Header header, const uint32_t* record) {
  const uint32_t at = load(header.next);
  const uint32_t count = load(header.count);
  write_record(table, header, at, record);
  store(header.next, at + 1 == table.length ? 0 : at + 1);
  if (count < table.length) store(header.count, count + 1);
}

// Whether `offset` is new to the row; -1 always is.
bool is_new(Header header, double offset) {
  return offset < 0 || static_cast<uint64_t>(offset) + 1 > load(header.offset);
}

void note_offset(Header header, double offset) {
  if (offset >= 0) store(header.offset, static_cast<uint64_t>(offset) + 1);
}

// Whether `offset` is new to the row; notes it. -1 is always new and is not noted.
bool take_offset(Header header, double offset) {
  if (!is_new(header, offset)) return false;
  note_offset(header, offset);
  return true;
}

double time_of(const uint32_t* record, uint32_t time_at) {
  const uint32_t halves[2] = {load(record + time_at), load(record + time_at + 1)};
  double time;
  memcpy(&time, halves, 8);
  return time;
}

// Puts a record behind the last one that is not newer: behind those of the same time. One that is
// older than all of a full row is left out: false.
bool insert(const SequenceTable& table, Header header, const uint32_t* record, uint32_t time_at) {
  const uint32_t count = load(header.count);
  const uint32_t next = load(header.next);
  const double time = time_of(record, time_at);
  uint32_t newer = 0;
  uint32_t at = next;
  for (; newer < count; newer++) {
    at = at == 0 ? table.length - 1 : at - 1;
    if (!(time_of(header.records + uint64_t{at} * table.words, time_at) > time)) break;
  }
  if (newer == table.length) return false;
  push(table, header, record);
  uint32_t to = next;
  for (uint32_t i = 0; i < newer; i++) {
    const uint32_t from = to == 0 ? table.length - 1 : to - 1;
    uint32_t* moved = header.records + uint64_t{from} * table.words;
    for (uint32_t w = 0; w < table.words; w++) {
      store(header.records + uint64_t{to} * table.words + w, load(moved + w));
    }
    write_record(table, header, from, record);
    to = from;
  }
  return true;
}

// Where a row of those to come stands, then its header, then, each once the one before is in the
// cache, the place that is written next.
void prefetch(const SequenceTable& table, const int32_t* rows, size_t left) {
  constexpr size_t kSlotAhead = 24;
  constexpr size_t kHeaderAhead = 16;
  constexpr size_t kRecordAhead = 6;
  if (left > kSlotAhead) table.pool.prefetch_slot(static_cast<uint32_t>(rows[kSlotAhead]));
  if (left > kHeaderAhead) {
    const uint64_t* row = table.pool.in_memory(static_cast<uint32_t>(rows[kHeaderAhead]));
    if (row != nullptr) __builtin_prefetch(row, 1);
  }
  if (left <= kRecordAhead) return;
  uint64_t* row = table.pool.in_memory(static_cast<uint32_t>(rows[kRecordAhead]));
  if (row == nullptr) return;
  const Header header = header_of(row);
  __builtin_prefetch(header.records + uint64_t{load(header.next)} * table.words, 1);
}

// What a reader copies may be a mixture; the bounds hold for any values it can see.
uint32_t copy_records(const SequenceTable& table, Header header, void* out) {
  auto* to = static_cast<uint8_t*>(out);
  uint32_t count = load(header.count);
  const uint32_t next = load(header.next);
  if (count > table.length) count = table.length;
  uint64_t at = (uint64_t{next} + table.length - count) % table.length;
  for (uint32_t r = 0; r < count; r++) {
    const uint32_t* from = header.records + at * table.words;
    for (uint32_t i = 0; i < table.words; i++, to += 4) {
      const uint32_t word = load(from + i);
      memcpy(to, &word, 4);
    }
    if (++at == table.length) at = 0;
  }
  return count;
}

// What a read finds of a row besides its records.
struct Found {
  uint32_t count = 0;
  uint64_t offset = 0;
};

// A row that is not at hand is as before its first record.
Found read_row(SequenceTable& table, uint32_t row, bool waits, void* out) {
  Found found;
  const bool is_there = table.pool.read(row, waits, [&](uint64_t* words) {
    const Header header = header_of(words);
    found = {copy_records(table, header, out), load(header.offset)};
  });
  return is_there ? found : Found();
}

// A saved row: u64 offset + 1, u32 count, and that many records, oldest first.
constexpr size_t kSavedHeaderBytes = 12;

// Rows in what `save` wrote; -1 where it is of another shape.
int64_t saved_rows(const SequenceTable& table, const uint8_t* data, size_t length) {
  int64_t rows = 0;
  for (size_t at = 0; at < length; rows++) {
    if (length - at < kSavedHeaderBytes) return -1;
    uint64_t offset = 0;
    uint32_t count = 0;
    memcpy(&offset, data + at, 8);
    memcpy(&count, data + at + 8, 4);
    at += kSavedHeaderBytes;
    if (offset > (1ull << 53) + 1 || count > table.length ||
        length - at < size_t{4} * count * table.words) {
      return -1;
    }
    at += size_t{4} * count * table.words;
  }
  return rows;
}

SequenceTable* table_of(int32_t handle) { return lookup<SequenceTable>(handle, kSequenceTable); }

}  // namespace
}  // namespace rec

using rec::SequenceTable;

int32_t rec_sequence_table_create(uint32_t rows, uint32_t length, uint32_t words,
                                  uint32_t rows_in_memory) {
  if (rows == 0 || rows > INT32_MAX || length == 0 || length > 65536 || words == 0 || words > 64 ||
      rows_in_memory == 0) {
    return REC_BAD_ARGUMENT;
  }
  std::unique_ptr<SequenceTable> table(new (std::nothrow) SequenceTable());
  if (!table) return REC_NO_MEMORY;
  table->rows = rows;
  table->length = length;
  table->words = words;
  const uint32_t row_words = rec::kHeaderWords + (length * words + 1) / 2;
  if (!table->pool.reserve(rows, row_words, rows_in_memory)) return REC_NO_MEMORY;
  return rec::adopt(rec::kSequenceTable, table.release());
}

int32_t rec_sequence_table_shape(int32_t handle, uint32_t* shape) {
  const SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  shape[0] = table->rows;
  shape[1] = table->length;
  shape[2] = table->words;
  shape[3] = static_cast<uint32_t>(rec::kSavedHeaderBytes) + 4 * table->length * table->words;
  shape[4] = 8 * table->pool.row_words();
  return REC_OK;
}

int32_t rec_sequence_table_open_file(int32_t handle, const char* path, uint32_t records_max) {
  SequenceTable* table = rec::table_of(handle);
  return table == nullptr ? REC_BAD_HANDLE : table->pool.open_file(path, records_max);
}

int32_t rec_sequence_table_usage(int32_t handle, double* usage) {
  const SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  table->pool.usage(usage);
  return REC_OK;
}

int32_t rec_sequence_table_push(int32_t handle, int32_t row, const uint32_t* record,
                                size_t record_length, double offset) {
  SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (!rec::row_in(row, table->rows) || record_length < table->words ||
      !(offset == -1 || rec::is_index(offset))) {
    return REC_BAD_ARGUMENT;
  }
  const rec::RowPool::Hold held(table->pool, static_cast<uint32_t>(row));
  const rec::Header header = rec::header_of(held.words());
  const bool fresh = rec::take_offset(header, offset);
  if (fresh) rec::push(*table, header, record);
  return fresh ? 1 : 0;
}

int32_t rec_sequence_table_push_all(int32_t handle, const int32_t* rows, size_t count,
                                    const uint32_t* records, size_t records_length,
                                    int32_t time_at, const double* offsets) {
  SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (records_length / table->words < count || time_at < -1 ||
      (time_at >= 0 && static_cast<uint32_t>(time_at) + 2 > table->words)) {
    return REC_BAD_ARGUMENT;
  }
  for (size_t i = 0; i < count; i++) {
    if (!rec::row_in(rows[i], table->rows) ||
        (offsets != nullptr && offsets[i] != -1 && !rec::is_index(offsets[i]))) {
      return REC_BAD_ARGUMENT;
    }
  }
  for (size_t i = 0; i < count; i++) {
    rec::prefetch(*table, rows + i, count - i);
    const uint32_t* record = records + i * table->words;
    const double offset = offsets == nullptr ? -1 : offsets[i];
    const rec::RowPool::Hold held(table->pool, static_cast<uint32_t>(rows[i]));
    const rec::Header header = rec::header_of(held.words());
    if (!rec::is_new(header, offset)) continue;
    bool changed = true;
    if (time_at < 0) {
      rec::push(*table, header, record);
    } else {
      changed = rec::insert(*table, header, record, static_cast<uint32_t>(time_at));
    }
    if (changed) rec::note_offset(header, offset);
  }
  return REC_OK;
}

int32_t rec_sequence_table_replace(int32_t handle, int32_t row, const uint32_t* records,
                                   size_t records_length, uint32_t count, double offset) {
  SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (!rec::row_in(row, table->rows) || count > table->length ||
      records_length / table->words < count || !(offset == -1 || rec::is_index(offset))) {
    return REC_BAD_ARGUMENT;
  }
  const rec::RowPool::Hold held(table->pool, static_cast<uint32_t>(row));
  const rec::Header header = rec::header_of(held.words());
  const bool fresh = rec::take_offset(header, offset);
  if (fresh) {
    for (uint32_t i = 0; i < count; i++) {
      rec::write_record(*table, header, i, records + size_t{i} * table->words);
    }
    rec::store(header.count, count);
    rec::store(header.next, count == table->length ? 0u : count);
  }
  return fresh ? 1 : 0;
}

int32_t rec_sequence_table_read(int32_t handle, int32_t row, int32_t waits, uint32_t* out,
                                size_t out_length, double* offset_out) {
  SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (out_length < size_t{table->length} * table->words) return REC_BAD_ARGUMENT;
  if (offset_out != nullptr) *offset_out = -1;
  if (row == -1) return 0;
  if (!rec::row_in(row, table->rows)) return REC_BAD_ARGUMENT;
  const rec::Found found = rec::read_row(*table, static_cast<uint32_t>(row), waits != 0, out);
  if (offset_out != nullptr) *offset_out = static_cast<double>(found.offset) - 1;
  return static_cast<int32_t>(found.count);
}

int64_t rec_sequence_table_save(int32_t handle, uint32_t first, uint32_t count, uint8_t* out,
                                size_t out_length) {
  SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const size_t records_max = size_t{4} * table->length * table->words;
  if (!rec::range_in(first, count, table->rows) ||
      out_length / (rec::kSavedHeaderBytes + records_max) < count) {
    return REC_BAD_ARGUMENT;
  }
  uint8_t* to = out;
  for (uint32_t i = 0; i < count; i++) {
    const auto [kept, offset] =
        rec::read_row(*table, first + i, true, to + rec::kSavedHeaderBytes);
    memcpy(to, &offset, 8);
    memcpy(to + 8, &kept, 4);
    to += rec::kSavedHeaderBytes + size_t{4} * kept * table->words;
  }
  return to - out;
}

int64_t rec_sequence_table_load(int32_t handle, uint32_t first, const uint8_t* data,
                                size_t data_length) {
  SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const int64_t rows = rec::saved_rows(*table, data, data_length);
  if (rows < 0 || rows > table->rows || first > table->rows - rows) return REC_BAD_ARGUMENT;
  const uint8_t* from = data;
  for (int64_t i = 0; i < rows; i++) {
    uint64_t offset = 0;
    uint32_t count = 0;
    memcpy(&offset, from, 8);
    memcpy(&count, from + 8, 4);
    from += rec::kSavedHeaderBytes;
    const rec::RowPool::Hold held(table->pool, first + static_cast<uint32_t>(i));
    const rec::Header header = rec::header_of(held.words());
    for (uint32_t w = 0; w < count * table->words; w++, from += 4) {
      uint32_t word = 0;
      memcpy(&word, from, 4);
      rec::store(header.records + w, word);
    }
    rec::store(header.offset, offset);
    rec::store(header.count, count);
    rec::store(header.next, count == table->length ? 0u : count);
  }
  return rows;
}

int32_t rec_sequence_table_clear(int32_t handle) {
  SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  table->pool.clear();
  return REC_OK;
}

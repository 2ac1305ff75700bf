// The last `length` records of each row, newest last: a ring under a row lock that is also the
// readers' sequence number. Any thread may push.
//
//   sequence u32 | count u32 | offset + 1 (u64) | next u32 | 0 | length x words u32, padded to u64
#include <memory>
#include <new>

#include "shared_memory.h"

namespace rec {
namespace {

constexpr uint32_t kHeaderWords32 = 6;

struct SequenceTable {
  uint32_t rows = 0;
  uint32_t length = 0;
  uint32_t words = 0;
  uint32_t row_words = 0;  // of 32 bits, even
  uint32_t used = 0;       // atomic
  Region region;

  uint32_t* row_at(uint32_t row) const {
    return reinterpret_cast<uint32_t*>(region.data()) + uint64_t{row} * row_words;
  }
};

struct Header {
  uint32_t* count;
  uint64_t* offset;
  uint32_t* next;
  uint32_t* records;
};

Header header_of(uint32_t* row) {
  return {row + 1, reinterpret_cast<uint64_t*>(row + 2), row + 4, row + kHeaderWords32};
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

// Whether `offset` is new to the row; notes it. -1 is always new and is not noted.
bool take_offset(Header header, double offset) {
  if (offset < 0) return true;
  const uint64_t next = static_cast<uint64_t>(offset) + 1;
  if (next <= load(header.offset)) return false;
  store(header.offset, next);
  return true;
}

// What a reader copies may be a mixture; the bounds hold for any values it can see.
uint32_t copy_records(const SequenceTable& table, uint32_t* row, uint32_t* out) {
  const Header header = header_of(row);
  uint32_t count = load(header.count);
  const uint32_t next = load(header.next);
  if (count > table.length) count = table.length;
  uint64_t at = (uint64_t{next} + table.length - count) % table.length;
  for (uint32_t r = 0; r < count; r++) {
    const uint32_t* from = header.records + at * table.words;
    for (uint32_t i = 0; i < table.words; i++) *out++ = load(from + i);
    if (++at == table.length) at = 0;
  }
  return count;
}

SequenceTable* table_of(int32_t handle) { return lookup<SequenceTable>(handle, kSequenceTable); }

}  // namespace
}  // namespace rec

using rec::SequenceTable;

int32_t rec_sequence_table_create(uint32_t rows, uint32_t length, uint32_t words) {
  if (rows == 0 || rows > INT32_MAX || length == 0 || length > 65536 || words == 0 || words > 64) {
    return REC_BAD_ARGUMENT;
  }
  std::unique_ptr<SequenceTable> table(new (std::nothrow) SequenceTable());
  if (!table) return REC_NO_MEMORY;
  table->rows = rows;
  table->length = length;
  table->words = words;
  table->row_words = (rec::kHeaderWords32 + length * words + 1) & ~1u;
  if (!table->region.reserve(size_t{4} * table->row_words * rows)) return REC_NO_MEMORY;
  return rec::adopt(rec::kSequenceTable, table.release());
}

int32_t rec_sequence_table_shape(int32_t handle, uint32_t* shape) {
  const SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  shape[0] = table->rows;
  shape[1] = table->length;
  shape[2] = table->words;
  shape[3] = 4 * table->row_words;
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
  const uint32_t index = static_cast<uint32_t>(row);
  uint32_t* words = table->row_at(index);
  const rec::Header header = rec::header_of(words);
  const uint32_t even = rec::begin_write(words);
  const bool fresh = rec::take_offset(header, offset);
  if (fresh) rec::push(*table, header, record);
  rec::end_write(words, even);
  rec::raise_to(&table->used, index + 1);
  return fresh ? 1 : 0;
}

int32_t rec_sequence_table_replace(int32_t handle, int32_t row, const uint32_t* records,
                                   size_t records_length, uint32_t count, double offset) {
  SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (!rec::row_in(row, table->rows) || count > table->length ||
      records_length / table->words < count || !(offset == -1 || rec::is_index(offset))) {
    return REC_BAD_ARGUMENT;
  }
  uint32_t* words = table->row_at(static_cast<uint32_t>(row));
  const rec::Header header = rec::header_of(words);
  const uint32_t even = rec::begin_write(words);
  const bool fresh = rec::take_offset(header, offset);
  if (fresh) {
    for (uint32_t i = 0; i < count; i++) {
      rec::write_record(*table, header, i, records + size_t{i} * table->words);
    }
    rec::store(header.count, count);
    rec::store(header.next, count == table->length ? 0u : count);
  }
  rec::end_write(words, even);
  rec::raise_to(&table->used, static_cast<uint32_t>(row) + 1);
  return fresh ? 1 : 0;
}

int32_t rec_sequence_table_read(int32_t handle, int32_t row, uint32_t* out, size_t out_length,
                                double* offset_out) {
  const SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (out_length < size_t{table->length} * table->words) return REC_BAD_ARGUMENT;
  if (offset_out != nullptr) *offset_out = -1;
  if (row == -1) return 0;
  if (!rec::row_in(row, table->rows)) return REC_BAD_ARGUMENT;
  uint32_t* words = table->row_at(static_cast<uint32_t>(row));
  const rec::Header header = rec::header_of(words);
  uint32_t count = 0;
  uint64_t offset = 0;
  rec::read_consistent(words, [&] {
    count = rec::copy_records(*table, words, out);
    offset = rec::load(header.offset);
  });
  if (offset_out != nullptr) *offset_out = static_cast<double>(offset) - 1;
  return static_cast<int32_t>(count);
}

int32_t rec_sequence_table_save(int32_t handle, uint32_t first, uint32_t count, uint8_t* out,
                                size_t out_length) {
  const SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const size_t row_bytes = size_t{4} * table->row_words;
  if (!rec::range_in(first, count, table->rows) || out_length / row_bytes < count) {
    return REC_BAD_ARGUMENT;
  }
  for (uint32_t i = 0; i < count; i++) {
    uint32_t* row = table->row_at(first + i);
    uint8_t* to = out + i * row_bytes;
    rec::read_consistent(row, [&] {
      for (uint32_t w = 1; w < table->row_words; w++) {
        const uint32_t word = rec::load(row + w);
        memcpy(to + 4 * w, &word, 4);
      }
    });
    memset(to, 0, 4);
  }
  return REC_OK;
}

int32_t rec_sequence_table_load(int32_t handle, uint32_t first, uint32_t count,
                                const uint8_t* data, size_t data_length) {
  SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const size_t row_bytes = size_t{4} * table->row_words;
  if (!rec::range_in(first, count, table->rows) || data_length / row_bytes < count) {
    return REC_BAD_ARGUMENT;
  }
  for (uint32_t i = 0; i < count; i++) {
    uint32_t header[rec::kHeaderWords32];
    memcpy(header, data + i * row_bytes, sizeof header);
    if (header[1] > table->length || header[4] >= table->length) return REC_BAD_ARGUMENT;
  }
  for (uint32_t i = 0; i < count; i++) {
    uint32_t* row = table->row_at(first + i);
    const uint32_t even = rec::begin_write(row);
    for (uint32_t w = 1; w < table->row_words; w++) {
      uint32_t word;
      memcpy(&word, data + i * row_bytes + 4 * w, 4);
      rec::store(row + w, word);
    }
    rec::end_write(row, even);
  }
  if (count > 0) rec::raise_to(&table->used, first + count);
  return REC_OK;
}

int32_t rec_sequence_table_clear(int32_t handle) {
  SequenceTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const uint32_t used = rec::load(&table->used);
  for (uint32_t i = 0; i < used; i++) {
    uint32_t* row = table->row_at(i);
    const rec::Header header = rec::header_of(row);
    const uint32_t even = rec::begin_write(row);
    rec::store(header.count, 0u);
    rec::store(header.next, 0u);
    rec::store(header.offset, uint64_t{0});
    rec::end_write(row, even);
  }
  return REC_OK;
}

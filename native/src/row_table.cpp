// Rows of bytes under a sequence number; zeros where nothing was written.
//
//   sequence u32 | 0 | bytes, padded to u64
#include <memory>
#include <new>

#include "shared_memory.h"

namespace rec {
namespace {

struct RowTable {
  uint32_t rows = 0;
  uint32_t row_bytes = 0;
  uint32_t row_words = 0;  // with the header
  Region region;

  uint64_t* row_at(uint32_t row) const {
    return reinterpret_cast<uint64_t*>(region.data()) + uint64_t{row} * row_words;
  }
};

constexpr uint32_t kRowBytesMax = 4096;

RowTable* table_of(int32_t handle) { return lookup<RowTable>(handle, kRowTable); }

void read_row(const RowTable& table, uint64_t* row, uint8_t* out) {
  uint64_t words[kRowBytesMax / 8];
  read_consistent(reinterpret_cast<uint32_t*>(row),
                  [&] { copy_out(words, row + 1, table.row_words - 1); });
  memcpy(out, words, table.row_bytes);
}

}  // namespace
}  // namespace rec

using rec::RowTable;

int32_t rec_row_table_create(uint32_t rows, uint32_t row_bytes) {
  if (rows == 0 || rows > INT32_MAX || row_bytes == 0 || row_bytes > rec::kRowBytesMax) {
    return REC_BAD_ARGUMENT;
  }
  std::unique_ptr<RowTable> table(new (std::nothrow) RowTable());
  if (!table) return REC_NO_MEMORY;
  table->rows = rows;
  table->row_bytes = row_bytes;
  table->row_words = 1 + (row_bytes + 7) / 8;
  if (!table->region.reserve(size_t{8} * table->row_words * rows)) return REC_NO_MEMORY;
  return rec::adopt(rec::kRowTable, table.release());
}

int32_t rec_row_table_shape(int32_t handle, uint32_t* shape) {
  const RowTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  shape[0] = table->rows;
  shape[1] = table->row_bytes;
  return REC_OK;
}

int32_t rec_row_table_write(int32_t handle, int32_t row, const uint8_t* bytes, size_t length) {
  RowTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (!rec::row_in(row, table->rows) || length != table->row_bytes) return REC_BAD_ARGUMENT;
  uint64_t words[rec::kRowBytesMax / 8] = {};
  memcpy(words, bytes, length);
  uint64_t* to = table->row_at(static_cast<uint32_t>(row));
  const uint32_t even = rec::begin_write(reinterpret_cast<uint32_t*>(to));
  rec::copy_in(to + 1, words, table->row_words - 1);
  rec::end_write(reinterpret_cast<uint32_t*>(to), even);
  return REC_OK;
}

int32_t rec_row_table_read(int32_t handle, const int32_t* rows, size_t count, uint8_t* out,
                           size_t out_length) {
  constexpr size_t kAhead = 8;
  const RowTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  if (out_length / table->row_bytes < count || !rec::rows_in(rows, count, table->rows)) {
    return REC_BAD_ARGUMENT;
  }
  for (size_t i = 0; i < count; i++) {
    if (i + kAhead < count && rows[i + kAhead] >= 0) {
      const uint64_t* next = table->row_at(static_cast<uint32_t>(rows[i + kAhead]));
      __builtin_prefetch(next);
      __builtin_prefetch(next + table->row_words - 1);
    }
    uint8_t* to = out + i * table->row_bytes;
    if (rows[i] < 0) {
      memset(to, 0, table->row_bytes);
    } else {
      rec::read_row(*table, table->row_at(static_cast<uint32_t>(rows[i])), to);
    }
  }
  return REC_OK;
}

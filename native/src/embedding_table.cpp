// Embedding rows. The trainer thread alone touches `working` and `accumulator`; readers see the
// two published values, each with its version, under the row's sequence number.
//
//   sequence | version 0 | version 1 | accumulator f32 | value 0 | value 1 | working
//   `------------- 4 x 32 bits ----------------'         each dim f32, padded to 64 bits
//
// In a file the space of a step is allocated before a row in it is touched, so that a full disk is
// an error and not a bus fault, and a sparse table takes what its rows take. The file is scratch;
// snapshots use save and load.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <vector>

#include "shared_memory.h"

namespace rec {
namespace {

constexpr uint32_t kDimMax = 1024;
constexpr size_t kFileStep = size_t{1} << 20;

struct EmbeddingTable {
  uint32_t rows = 0;
  uint32_t dim = 0;
  uint32_t lanes = 0;      // u64 words of one value
  uint32_t row_words = 0;  // u64
  uint32_t used = 0;       // atomic: rows below it may hold something
  int file = -1;
  std::vector<bool> allocated;  // by step of the file; the trainer's thread alone
  Region region;

  ~EmbeddingTable() {
    if (file >= 0) close(file);
  }
  uint64_t* row_at(int32_t row) const {
    return reinterpret_cast<uint64_t*>(region.data()) + uint64_t(row) * row_words;
  }
};

uint32_t* sequence_of(uint64_t* row) { return reinterpret_cast<uint32_t*>(row); }
uint32_t* versions_of(uint64_t* row) { return reinterpret_cast<uint32_t*>(row) + 1; }
float* accumulator_of(uint64_t* row) { return reinterpret_cast<float*>(row) + 3; }

uint64_t* value_of(const EmbeddingTable& table, uint64_t* row, uint32_t which) {
  return row + 2 + which * table.lanes;
}

float* working_of(const EmbeddingTable& table, uint64_t* row) {
  return reinterpret_cast<float*>(row + 2 + 2 * table.lanes);
}

EmbeddingTable* table_of(int32_t handle) { return lookup<EmbeddingTable>(handle, kEmbeddingTable); }

// Bytes [from, to) of the file. False when the disk is full.
bool allocate(EmbeddingTable& table, size_t from, size_t to) {
  for (size_t step = from / kFileStep; step * kFileStep < to; step++) {
    if (table.allocated[step]) continue;
    const size_t at = step * kFileStep;
    const size_t bytes = std::min(kFileStep, table.region.bytes() - at);
    if (posix_fallocate(table.file, static_cast<off_t>(at), static_cast<off_t>(bytes)) != 0) {
      return false;
    }
    table.allocated[step] = true;
  }
  return true;
}

// Makes room for `count` rows from `first` on. False when the disk is full.
bool use_range(EmbeddingTable& table, uint32_t first, uint32_t count) {
  const size_t row_bytes = size_t{8} * table.row_words;
  const uint32_t end = first + count;
  if (table.file >= 0 && !allocate(table, row_bytes * first, row_bytes * end)) return false;
  raise_to(&table.used, end);
  return true;
}

// The same for the rows of a call.
bool use_rows(EmbeddingTable& table, const int32_t* rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (rows[i] >= 0 && !use_range(table, static_cast<uint32_t>(rows[i]), 1)) return false;
  }
  return true;
}

// Which of the two values a reader with this pin sees, or -1.
int newest_within(uint64_t* row, uint32_t pin) {
  const uint32_t first = load(versions_of(row));
  const uint32_t second = load(versions_of(row) + 1);
  const bool first_fits = first != 0 && first <= pin;
  const bool second_fits = second != 0 && second <= pin;
  if (first_fits && (!second_fits || first > second)) return 0;
  return second_fits ? 1 : -1;
}

void gather_row(const EmbeddingTable& table, uint64_t* row, uint32_t pin, float* out) {
  uint64_t words[kDimMax / 2];
  int which = -1;
  read_consistent(sequence_of(row), [&] {
    which = newest_within(row, pin);
    if (which >= 0) copy_out(words, value_of(table, row, uint32_t(which)), table.lanes);
  });
  if (which >= 0) {
    memcpy(out, words, 4 * table.dim);
  } else {
    memset(out, 0, 4 * table.dim);
  }
}

void prefetch(const EmbeddingTable& table, uint64_t* row) {
  for (uint32_t at = 0; at < table.row_words; at += 8) __builtin_prefetch(row + at);
}

struct AdagradOptions {
  float learning_rate, epsilon, decay;
};

// Row-wise Adagrad: one accumulator a row, of the mean squared gradient (Mudigere et al. 2021,
// section 4.1.4); it fades by `decay` a step, so that an old row can still turn. Plain float32 in
// index order, so that training repeats bit for bit.
void adagrad_row(const EmbeddingTable& table, uint64_t* row, const float* gradient,
                 const AdagradOptions& options) {
  float squares = 0;
  for (uint32_t i = 0; i < table.dim; i++) squares += gradient[i] * gradient[i];
  float* accumulator = accumulator_of(row);
  *accumulator = *accumulator * options.decay + squares / static_cast<float>(table.dim);
  const float step = options.learning_rate / (std::sqrt(*accumulator) + options.epsilon);
  float* working = working_of(table, row);
  for (uint32_t i = 0; i < table.dim; i++) working[i] -= step * gradient[i];
}

// Copies working into the older of the two values; the same version again goes where it was.
void publish_row(const EmbeddingTable& table, uint64_t* row, uint32_t version) {
  uint32_t* versions = versions_of(row);
  const bool to_second =
      versions[1] == version || (versions[0] != version && versions[1] < versions[0]);
  const uint32_t which = to_second ? 1 : 0;
  const uint32_t even = begin_write(sequence_of(row));
  store(versions + which, version);
  REC_RACE_POINT();
  copy_in(value_of(table, row, which), working_of(table, row), table.lanes);
  end_write(sequence_of(row), even);
}

bool may_publish(const EmbeddingTable& table, const int32_t* rows, size_t count, uint32_t version) {
  const uint32_t used = load(&table.used);
  for (size_t i = 0; i < count; i++) {
    if (rows[i] < 0 || static_cast<uint32_t>(rows[i]) >= used) continue;
    const uint32_t* versions = versions_of(table.row_at(rows[i]));
    if (std::max(load(versions), load(versions + 1)) > version) return false;
  }
  return version != 0;
}

bool open_file(EmbeddingTable& table, const char* path, size_t bytes) {
  table.file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (table.file < 0) return false;
  return ftruncate(table.file, static_cast<off_t>(bytes)) == 0;
}

// Checks what all batch calls share: handle, rows, `count` x dim floats.
int32_t check(const EmbeddingTable* table, const int32_t* rows, size_t count, size_t floats) {
  if (table == nullptr) return REC_BAD_HANDLE;
  if (floats / table->dim < count || !rows_in(rows, count, table->rows)) return REC_BAD_ARGUMENT;
  return REC_OK;
}

}  // namespace
}  // namespace rec

using rec::EmbeddingTable;

int32_t rec_embedding_table_create(const char* path, uint32_t rows, uint32_t dim) {
  if (rows == 0 || rows > INT32_MAX || dim == 0 || dim > rec::kDimMax) return REC_BAD_ARGUMENT;
  std::unique_ptr<EmbeddingTable> table(new (std::nothrow) EmbeddingTable());
  if (!table) return REC_NO_MEMORY;
  table->rows = rows;
  table->dim = dim;
  table->lanes = (dim + 1) / 2;
  table->row_words = 2 + 3 * table->lanes;
  const size_t bytes = size_t{8} * table->row_words * rows;
  if (path == nullptr) {
    if (!table->region.reserve(bytes)) return REC_NO_MEMORY;
  } else {
    if (!rec::open_file(*table, path, bytes)) return REC_IO_FAILED;
    table->allocated.resize(bytes / rec::kFileStep + 1);
    if (!table->region.map_file(bytes, table->file)) return REC_NO_MEMORY;
  }
  return rec::adopt(rec::kEmbeddingTable, table.release());
}

int32_t rec_embedding_table_shape(int32_t handle, uint32_t* shape) {
  const EmbeddingTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  shape[0] = table->rows;
  shape[1] = table->dim;
  shape[2] = 8 * table->row_words;
  shape[3] = rec::load(&table->used);
  return REC_OK;
}

int32_t rec_embedding_table_gather(int32_t handle, const int32_t* rows, size_t count, uint32_t pin,
                                   float* out, size_t out_length) {
  constexpr size_t kAhead = 8;
  const EmbeddingTable* table = rec::table_of(handle);
  const int32_t status = rec::check(table, rows, count, out_length);
  if (status != REC_OK) return status;
  const int64_t used = __atomic_load_n(&table->used, __ATOMIC_ACQUIRE);
  for (size_t i = 0; i < count; i++) {
    if (i + kAhead < count && rows[i + kAhead] >= 0 && rows[i + kAhead] < used) {
      rec::prefetch(*table, table->row_at(rows[i + kAhead]));
    }
    float* to = out + i * table->dim;
    if (rows[i] >= 0 && rows[i] < used) {
      rec::gather_row(*table, table->row_at(rows[i]), pin, to);
    } else {
      memset(to, 0, 4 * table->dim);
    }
  }
  return REC_OK;
}

int32_t rec_embedding_table_gather_working(int32_t handle, const int32_t* rows, size_t count,
                                           float* out, size_t out_length) {
  const EmbeddingTable* table = rec::table_of(handle);
  const int32_t status = rec::check(table, rows, count, out_length);
  if (status != REC_OK) return status;
  const int64_t used = rec::load(&table->used);
  for (size_t i = 0; i < count; i++) {
    float* to = out + i * table->dim;
    if (rows[i] >= 0 && rows[i] < used) {
      memcpy(to, rec::working_of(*table, table->row_at(rows[i])), 4 * table->dim);
    } else {
      memset(to, 0, 4 * table->dim);
    }
  }
  return REC_OK;
}

int32_t rec_embedding_table_initialise(int32_t handle, const int32_t* rows, size_t count,
                                       const float* values, size_t values_length) {
  EmbeddingTable* table = rec::table_of(handle);
  const int32_t status = rec::check(table, rows, count, values_length);
  if (status != REC_OK) return status;
  if (!rec::use_rows(*table, rows, count)) return REC_IO_FAILED;
  for (size_t i = 0; i < count; i++) {
    if (rows[i] < 0) continue;
    uint64_t* row = table->row_at(rows[i]);
    memcpy(rec::working_of(*table, row), values + i * table->dim, 4 * table->dim);
    *rec::accumulator_of(row) = 0;
  }
  return REC_OK;
}

int32_t rec_embedding_table_apply_adagrad(int32_t handle, const int32_t* rows, size_t count,
                                          const float* gradients, size_t gradients_length,
                                          float learning_rate, float epsilon, float decay) {
  EmbeddingTable* table = rec::table_of(handle);
  const int32_t status = rec::check(table, rows, count, gradients_length);
  if (status != REC_OK) return status;
  if (!(epsilon > 0) || !std::isfinite(learning_rate)) return REC_BAD_ARGUMENT;
  if (!(decay >= 0 && decay <= 1)) return REC_BAD_ARGUMENT;
  if (!rec::use_rows(*table, rows, count)) return REC_IO_FAILED;
  for (size_t i = 0; i < count; i++) {
    if (rows[i] < 0) continue;
    rec::adagrad_row(*table, table->row_at(rows[i]), gradients + i * table->dim,
                     {learning_rate, epsilon, decay});
  }
  return REC_OK;
}

int32_t rec_embedding_table_publish(int32_t handle, const int32_t* rows, size_t count,
                                    uint32_t version) {
  EmbeddingTable* table = rec::table_of(handle);
  const int32_t status = rec::check(table, rows, count, SIZE_MAX);
  if (status != REC_OK) return status;
  if (!rec::may_publish(*table, rows, count, version)) return REC_BAD_ARGUMENT;
  if (!rec::use_rows(*table, rows, count)) return REC_IO_FAILED;
  for (size_t i = 0; i < count; i++) {
    if (rows[i] >= 0) rec::publish_row(*table, table->row_at(rows[i]), version);
  }
  return REC_OK;
}

int32_t rec_embedding_table_save(int32_t handle, uint32_t first, uint32_t count, uint8_t* out,
                                 size_t out_length) {
  const EmbeddingTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const size_t row_bytes = size_t{8} * table->row_words;
  if (!rec::range_in(first, count, table->rows) || out_length / row_bytes < count) {
    return REC_BAD_ARGUMENT;
  }
  const uint32_t used = rec::load(&table->used);
  memset(out, 0, row_bytes * count);
  for (uint32_t i = 0; i < count && first + i < used; i++) {
    const uint8_t* row = reinterpret_cast<uint8_t*>(table->row_at(int32_t(first + i)));
    memcpy(out + i * row_bytes + 4, row + 4, row_bytes - 4);
  }
  return REC_OK;
}

int32_t rec_embedding_table_load(int32_t handle, uint32_t first, uint32_t count,
                                 const uint8_t* data, size_t data_length, uint32_t published) {
  EmbeddingTable* table = rec::table_of(handle);
  if (table == nullptr) return REC_BAD_HANDLE;
  const size_t row_bytes = size_t{8} * table->row_words;
  if (!rec::range_in(first, count, table->rows) || data_length / row_bytes < count) {
    return REC_BAD_ARGUMENT;
  }
  if (count == 0) return REC_OK;
  if (!rec::use_range(*table, first, count)) return REC_IO_FAILED;
  for (uint32_t i = 0; i < count; i++) {
    const uint8_t* from = data + i * row_bytes;
    uint64_t* row = table->row_at(int32_t(first + i));
    memcpy(rec::accumulator_of(row), from + 12, 4);
    memcpy(rec::working_of(*table, row), from + 16 + 16 * table->lanes, 8 * table->lanes);
    if (published == 0) continue;
    const uint32_t even = rec::begin_write(rec::sequence_of(row));
    for (uint32_t v = 0; v < 2; v++) {
      uint32_t version;
      memcpy(&version, from + 4 + 4 * v, 4);
      rec::store(rec::versions_of(row) + v, version);
    }
    rec::copy_in(row + 2, from + 16, 2 * table->lanes);
    rec::end_write(rec::sequence_of(row), even);
  }
  return REC_OK;
}

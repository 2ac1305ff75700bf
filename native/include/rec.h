/*
 * The C ABI of the native part. Rules:
 *   1. Every function is rec_<op>; handles are positive int32, checked for existence and kind.
 *   2. A negative result is a status below; functions never throw, print or exit.
 *   3. Every buffer comes with its length in elements (`..._length`) where the callee cannot know
 *      it from `count`; nothing is read or written beyond. Buffers are borrowed for the call.
 *   4. Arguments are checked before the first write: a refused call changes nothing.
 *   5. Rows are int32; -1 (0xffffffff, noRow) stands for no row. Times are epoch milliseconds in
 *      float64, offsets integers in float64 (-1: none).
 *   6. Calls do not allocate except create; words that threads share are read and written
 *      atomically (relaxed) under a sequence number.
 */
#ifndef REC_H
#define REC_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  REC_OK = 0,
  REC_NONE = -1,
  REC_BAD_HANDLE = -2,
  REC_BAD_ARGUMENT = -3,
  REC_FULL = -4,
  REC_NO_MEMORY = -5,
  REC_IO_FAILED = -6,
  REC_BAD_STATE = -7
};

/* ---- id table: text (or pairs of rows) <-> dense rows. Any thread; finding takes no lock. ---- */
/* bytes_max 0 makes a table of pairs. Returns a handle. */
int32_t rec_id_table_create(uint32_t capacity, uint64_t bytes_max);
int64_t rec_id_table_size(int32_t handle);
/* The row, new or known. REC_FULL when capacity or bytes are used up. */
int64_t rec_id_table_intern(int32_t handle, const uint8_t* id, uint32_t id_bytes);
/* The row or REC_NONE. */
int64_t rec_id_table_find(int32_t handle, const uint8_t* id, uint32_t id_bytes);
/* Points *id at the id's bytes, which never move; returns their number. */
int64_t rec_id_table_id(int32_t handle, int32_t row, const uint8_t** id);
/* Ids of rows as bytes: u16 length, then the id, row after row. saved_bytes is what save needs. */
int64_t rec_id_table_saved_bytes(int32_t handle, uint32_t first, uint32_t count);
/* Returns the bytes written. */
int64_t rec_id_table_save(int32_t handle, uint32_t first, uint32_t count, uint8_t* out,
                          size_t out_length);
/* Gives saved ids the next rows in their order; refuses one that has a row already, with those
   before it taken. Returns their number. */
int64_t rec_id_table_load(int32_t handle, const uint8_t* data, size_t length);
int64_t rec_id_table_intern_pair(int32_t handle, uint32_t a, uint32_t b);
/* out[i] = row of (a, bs[i]) or -1. */
int32_t rec_id_table_find_pairs(int32_t handle, uint32_t a, const int32_t* bs, size_t count,
                                int32_t* out);
/* out[i] = row of the pair (as[i], bs[i]), a new one if need be, -1 where the table is full.
   Returns how many found no room. */
int64_t rec_id_table_intern_pairs(int32_t handle, const int32_t* as, const int32_t* bs,
                                  size_t count, int32_t* out);
/* Gives `count` pairs, both rows of one after those of the other, the rows from `first` on, or
   finds that they have them; refuses others, with those before taken. An empty table makes room
   for `total` of them at once. */
int32_t rec_id_table_load_pairs(int32_t handle, uint32_t first, const uint32_t* pairs,
                                uint32_t count, uint32_t total);
/* Writes both rows of each of `count` pairs into out[0 .. 2 * count]. */
int32_t rec_id_table_pairs(int32_t handle, uint32_t first, uint32_t count, uint32_t* out,
                           size_t out_length);

/* ---- pane table: sliding-window counters. One writer at a time a row, many readers. ---- */
typedef struct {
  uint32_t pane_ms;
  uint32_t panes;
} rec_window;

typedef struct {
  const int32_t* rows;
  const uint8_t* counters;
  const uint32_t* deltas;
  const double* times;
  const double* offsets;
  size_t count;
  double watermark_ms;
} rec_pane_updates;

/* At most `full_rows` rows in memory have more panes than fit into their slot; the least recently
   used of them goes to the file when another needs room, or gives its windows up without one. */
int32_t rec_pane_table_create(uint32_t rows, uint32_t counters, const rec_window* windows,
                              uint32_t window_count, uint32_t full_rows);
/* shape[0..4] = rows, counters, windows, bytes of a saved row at most, bytes of a full row. */
int32_t rec_pane_table_shape(int32_t handle, uint32_t* shape);
int32_t rec_pane_table_window(int32_t handle, uint32_t index, rec_window* out);
/* usage[0..6] = full rows in memory, rows in the file; and how many rows so far: gave up windows
   that could still be read, went to the file, came back, were over before they came back, were not
   at hand for a read. The same of whole rows for the aggregate and the sequence table; theirs are
   never over. */
int32_t rec_pane_table_usage(int32_t handle, double* usage);
/* Gives the table a file, emptied, for at most `records_max` rows. It is scratch. */
int32_t rec_pane_table_open_file(int32_t handle, const char* path, uint32_t records_max);
/* late_out[w] = updates that came too late for window w. Returns how many applied. */
int64_t rec_pane_table_apply(int32_t handle, const rec_pane_updates* updates, uint32_t* late_out,
                             size_t late_length);
/* out: count x (windows + 1) x counters; offsets_out may be null. A row that is in the file and not
   in the page cache is read from the disk where `waits` is not 0; else it is fetched for the next
   read, and this one gives zeros and offset -1, as before its first update. */
int32_t rec_pane_table_read(int32_t handle, const int32_t* rows, size_t count, double as_of_ms,
                            int32_t waits, uint32_t* out, size_t out_length, double* offsets_out,
                            size_t offsets_length);
/* Writes `count` rows one after the other, each with what it has beside its slot; returns the bytes
   used. `out` holds the most that they may need. */
int64_t rec_pane_table_save(int32_t handle, uint32_t first, uint32_t count, uint8_t* out,
                            size_t out_length);
/* Takes what `save` wrote, from row `first` on; returns how many rows. */
int64_t rec_pane_table_load(int32_t handle, uint32_t first, const uint8_t* data,
                            size_t data_length);
int32_t rec_pane_table_clear(int32_t handle);

/* Rows 0 .. rows - 1 of a pane table that will be loaded, full_rows of them full, or of an id
   table. */
typedef struct {
  int32_t handle;
  uint32_t rows;
  uint32_t full_rows;
} rec_expected_rows;

/* Starts a thread that makes the memory of these tables, at most 16, present from the end of the
   last one to the beginning of the first, while the caller loads them in that order. Returns a
   handle: releasing it ends the thread, and comes before the tables are released. */
int32_t rec_prefault_start(const rec_expected_rows* expected, size_t count);

/* ---- aggregate table: what sums of panes cannot say. Each row has every aggregate. ---- */
enum { REC_DECAYED = 0, REC_MAX = 1, REC_DISTINCT = 2 };

/* Of the updates with this counter and source: their sum, each halved every half_life_ms; or in
   `panes` panes (pane_ms 0: over the whole life) the largest value, or how many distinct values. */
typedef struct {
  uint32_t kind;
  uint32_t counter;
  uint32_t source;
  uint32_t pane_ms;
  uint32_t panes;
  double half_life_ms;
} rec_aggregate;

/* Update i: value values[i] from source sources[i], as rec_pane_updates otherwise. */
typedef struct {
  const int32_t* rows;
  const uint8_t* counters;
  const uint8_t* sources;
  const uint32_t* values;
  const double* times;
  const double* offsets;
  size_t count;
  double watermark_ms;
} rec_aggregate_updates;

/* Of more rows than `rows_in_memory` the least recently used are in the file, or lost without. */
int32_t rec_aggregate_table_create(uint32_t rows, const rec_aggregate* aggregates, uint32_t count,
                                   uint32_t rows_in_memory);
/* shape[0..3] = rows, aggregates, bytes of a saved row at most, bytes of a row in memory. */
int32_t rec_aggregate_table_shape(int32_t handle, uint32_t* shape);
int32_t rec_aggregate_table_usage(int32_t handle, double* usage);
int32_t rec_aggregate_table_open_file(int32_t handle, const char* path, uint32_t records_max);
/* late_out[a] = updates that came too late for aggregate a. Returns how many applied. */
int64_t rec_aggregate_table_apply(int32_t handle, const rec_aggregate_updates* updates,
                                  uint32_t* late_out, size_t late_length);
/* What the same rows of `tables` tables of one shape make together. out: count x aggregates;
   offsets_out: tables x count, may be null. `waits` as by rec_pane_table_read. */
int32_t rec_aggregate_table_read(const int32_t* handles, size_t tables, const int32_t* rows,
                                 size_t count, double as_of_ms, int32_t waits, double* out,
                                 size_t out_length, double* offsets_out, size_t offsets_length);
/* As of sequence tables: rows of any length, one after the other. */
int64_t rec_aggregate_table_save(int32_t handle, uint32_t first, uint32_t count, uint8_t* out,
                                 size_t out_length);
int64_t rec_aggregate_table_load(int32_t handle, uint32_t first, const uint8_t* data,
                                 size_t data_length);
int32_t rec_aggregate_table_clear(int32_t handle);

/* ---- sequence table: the last `length` records of `words` u32 of each row. ---- */
/* Of more rows than `rows_in_memory` the least recently used are in the file, or lost without. */
int32_t rec_sequence_table_create(uint32_t rows, uint32_t length, uint32_t words,
                                  uint32_t rows_in_memory);
/* shape[0..4] = rows, length, words, bytes of a saved row at most, bytes of a row in memory. */
int32_t rec_sequence_table_shape(int32_t handle, uint32_t* shape);
int32_t rec_sequence_table_usage(int32_t handle, double* usage);
int32_t rec_sequence_table_open_file(int32_t handle, const char* path, uint32_t records_max);
/* 1 pushed, 0 skipped because offset <= the row's offset. */
int32_t rec_sequence_table_push(int32_t handle, int32_t row, const uint32_t* record,
                                size_t record_length, double offset);
/* Record i goes to row rows[i]: as the newest, or, with time_at >= 0, in the order of the float64
   in its words time_at and time_at + 1. offsets (may be NULL) as by push. */
int32_t rec_sequence_table_push_all(int32_t handle, const int32_t* rows, size_t count,
                                    const uint32_t* records, size_t records_length,
                                    int32_t time_at, const double* offsets);
/* Replaces all records; 1 replaced, 0 skipped as by push. */
int32_t rec_sequence_table_replace(int32_t handle, int32_t row, const uint32_t* records,
                                   size_t records_length, uint32_t count, double offset);
/* Copies the records, oldest first; returns their number. offset_out (may be NULL) = the row's
   offset, -1 none. `waits` as by rec_pane_table_read. */
int32_t rec_sequence_table_read(int32_t handle, int32_t row, int32_t waits, uint32_t* out,
                                size_t out_length, double* offset_out);
/* Writes the records of `count` rows one after the other; returns the bytes used. `out` holds the
   most that they may need. */
int64_t rec_sequence_table_save(int32_t handle, uint32_t first, uint32_t count, uint8_t* out,
                                size_t out_length);
/* Takes what `save` wrote, from row `first` on; returns how many rows. */
int64_t rec_sequence_table_load(int32_t handle, uint32_t first, const uint8_t* data,
                                size_t data_length);
int32_t rec_sequence_table_clear(int32_t handle);

/* ---- row table: rows of bytes. ---- */
int32_t rec_row_table_create(uint32_t rows, uint32_t row_bytes);
/* shape[0..1] = rows, bytes of a row. */
int32_t rec_row_table_shape(int32_t handle, uint32_t* shape);
int32_t rec_row_table_write(int32_t handle, int32_t row, const uint8_t* bytes, size_t length);
int32_t rec_row_table_read(int32_t handle, const int32_t* rows, size_t count, uint8_t* out,
                           size_t out_length);

/* ---- embedding table: working value + accumulator (one trainer), two published values. ---- */
/* path null: anonymous memory. The file is scratch: it is emptied when the table is created. */
int32_t rec_embedding_table_create(const char* path, uint32_t rows, uint32_t dim);
/* shape[0..3] = rows, dim, bytes of a row, rows in use. */
int32_t rec_embedding_table_shape(int32_t handle, uint32_t* shape);
/* Newest published value with version <= pin; zeros where there is none. out: count x dim. */
int32_t rec_embedding_table_gather(int32_t handle, const int32_t* rows, size_t count, uint32_t pin,
                                   float* out, size_t out_length);
int32_t rec_embedding_table_gather_working(int32_t handle, const int32_t* rows, size_t count,
                                           float* out, size_t out_length);
int32_t rec_embedding_table_initialise(int32_t handle, const int32_t* rows, size_t count,
                                       const float* values, size_t values_length);
int32_t rec_embedding_table_apply_adagrad(int32_t handle, const int32_t* rows, size_t count,
                                          const float* gradients, size_t gradients_length,
                                          float learning_rate, float epsilon, float decay);
int32_t rec_embedding_table_publish(int32_t handle, const int32_t* rows, size_t count,
                                    uint32_t version);
int32_t rec_embedding_table_save(int32_t handle, uint32_t first, uint32_t count, uint8_t* out,
                                 size_t out_length);
/* published 0: working values and accumulators alone; readers notice nothing. */
int32_t rec_embedding_table_load(int32_t handle, uint32_t first, uint32_t count,
                                 const uint8_t* data, size_t data_length, uint32_t published);

/* ---- model slots: one publisher, many readers with announced pins. ---- */
int32_t rec_model_slots_create(uint32_t slots, uint32_t floats, uint32_t readers);
/* shape[0..2] = slots, floats, readers. */
int32_t rec_model_slots_shape(int32_t handle, uint32_t* shape);
/* The slot, REC_NONE before the first publish, REC_BAD_STATE when this reader holds a pin. */
int32_t rec_model_slots_pin(int32_t handle, uint32_t reader);
int32_t rec_model_slots_unpin(int32_t handle, uint32_t reader);
float* rec_model_slots_weights(int32_t handle, uint32_t slot);
int64_t rec_model_slots_version(int32_t handle, uint32_t slot);
/* The free slot with the oldest version, REC_NONE when all are current or pinned. */
int32_t rec_model_slots_acquire(int32_t handle);
int32_t rec_model_slots_publish(int32_t handle, uint32_t slot, uint32_t version);
/* Slot and version of the current pointer; slot -1 before the first publish. */
int32_t rec_model_slots_current(int32_t handle, int32_t* slot, uint32_t* version);
int64_t rec_model_slots_oldest_pinned_version(int32_t handle);

/* ---- metrics: counters and log-bucketed histograms that any thread writes. ---- */
enum { REC_HISTOGRAM_BUCKETS = 1922 };
int32_t rec_metrics_create(uint32_t counters, uint32_t histograms);
/* shape[0..1] = counters, histograms. */
int32_t rec_metrics_shape(int32_t handle, uint32_t* shape);
int32_t rec_metrics_add(int32_t handle, uint32_t counter, uint64_t by);
/* For what goes up and down: `counter` holds `value` from now on. */
int32_t rec_metrics_set(int32_t handle, uint32_t counter, uint64_t value);
int32_t rec_metrics_observe(int32_t handle, uint32_t histogram, double value);
/* Keeps the largest value >= 0 until somebody takes it. */
int32_t rec_metrics_hold(int32_t handle, uint32_t histogram, double value);
/* What is held, -1 for nothing; nothing is held any more. */
int32_t rec_metrics_take_held(int32_t handle, uint32_t histogram, double* value);
int32_t rec_metrics_read_counters(int32_t handle, double* out, size_t out_length);
/* out: REC_HISTOGRAM_BUCKETS counts, then the sum of all values. */
int32_t rec_metrics_read_histogram(int32_t handle, uint32_t histogram, double* out,
                                   size_t out_length);
/* Largest value that falls into a bucket. */
double rec_metrics_bucket_bound(uint32_t bucket);

/* ---- all objects ---- */
/* Gives the creator's reference back; memory goes when the last view is gone. */
int32_t rec_release(int32_t handle);

/* ---- threads ---- */
/* Name of the calling thread as tools show it; at most 15 bytes count. */
int32_t rec_thread_name(const char* name);
/* Nice value of the calling thread; returns the value in force + 100, or a status. */
int32_t rec_thread_nice(int32_t nice);
/* Time slice of the calling thread, 100 to 100,000 us; 1 where the kernel took it, 0 where not. */
int32_t rec_thread_slice(uint32_t microseconds);
/* Sockets of this process that listen on a TCP port refuse from now on; how many there were. */
int32_t rec_refuse_connections(uint32_t port);

#ifdef __cplusplus
}
#endif
#endif

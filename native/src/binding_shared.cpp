// Entry points of the id table, the metrics and the threads; registers all shared memory.
#include "binding_shared.h"

namespace rec {
namespace {

constexpr size_t kIdBytesMax = 4096;

// Reads the id of a call into `bytes` without allocating; returns its length.
uint32_t id_of(Call& call, size_t at, char* bytes) {
  size_t length = 0;
  if (at >= call.count || napi_get_value_string_utf8(call.env, call.values[at], bytes,
                                                     kIdBytesMax + 2, &length) != napi_ok) {
    fail("REC_NATIVE_ARGUMENT", "id must be a string");
  }
  if (length == 0 || length > kIdBytesMax) {
    fail("REC_NATIVE_ARGUMENT", "id must have 1 to 4096 bytes");
  }
  return static_cast<uint32_t>(length);
}

const uint8_t* bytes_of(const char* text) { return reinterpret_cast<const uint8_t*>(text); }

int64_t row_or_full(int64_t status) {
  if (status == REC_FULL) fail("REC_IDS_FULL", "the id table is full");
  return checked(status, "intern");
}

napi_value id_create(Call& call) {
  return done(call, rec_id_table_create(call.u32(0, "capacity"), call.u64(1, "bytesMax")),
              "IdTable");
}

napi_value id_size(Call& call) {
  return done(call, rec_id_table_size(call.i32(0, "handle")), "size");
}

napi_value id_intern(Call& call) {
  char id[kIdBytesMax + 2];
  const uint32_t length = id_of(call, 1, id);
  const int64_t row = rec_id_table_intern(call.i32(0, "handle"), bytes_of(id), length);
  return call.result(static_cast<double>(row_or_full(row)));
}

napi_value id_find(Call& call) {
  char id[kIdBytesMax + 2];
  const uint32_t length = id_of(call, 1, id);
  return done(call, rec_id_table_find(call.i32(0, "handle"), bytes_of(id), length), "find");
}

napi_value id_text(Call& call) {
  const uint8_t* id = nullptr;
  const int64_t length =
      checked(rec_id_table_id(call.i32(0, "handle"), call.i32(1, "row"), &id), "id");
  napi_value text;
  napi_create_string_utf8(call.env, reinterpret_cast<const char*>(id),
                          static_cast<size_t>(length), &text);
  return text;
}

napi_value id_saved_bytes(Call& call) {
  return done(call,
              rec_id_table_saved_bytes(call.i32(0, "handle"), call.u32(1, "firstRow"),
                                       call.u32(2, "count")),
              "savedBytes");
}

// idTableSave(handle, firstRow, count, out)
napi_value id_save(Call& call) {
  const auto out = call.array<uint8_t>(3, "out");
  return done(call,
              rec_id_table_save(call.i32(0, "handle"), call.u32(1, "firstRow"),
                                call.u32(2, "count"), out.data, out.length),
              "save");
}

// idTableLoad(handle, data)
napi_value id_load(Call& call) {
  const auto data = call.array<uint8_t>(1, "data");
  return call.result(static_cast<double>(
      row_or_full(rec_id_table_load(call.i32(0, "handle"), data.data, data.length))));
}

napi_value id_intern_pair(Call& call) {
  const int64_t row =
      rec_id_table_intern_pair(call.i32(0, "handle"), call.u32(1, "a"), call.u32(2, "b"));
  return call.result(static_cast<double>(row_or_full(row)));
}

napi_value id_find_pairs(Call& call) {
  const size_t count = count_of(call, 3);
  const auto bs = call.rows(2, "bs", count);
  const auto out = call.array<int32_t>(4, "out", count);
  return done(call,
              rec_id_table_find_pairs(call.i32(0, "handle"), call.u32(1, "a"), bs.data, count,
                                      out.data),
              "findPairs");
}

// idTableInternPairs(handle, as, bs, count, out)
napi_value id_intern_pairs(Call& call) {
  const size_t count = count_of(call, 3);
  const auto as = call.rows(1, "as", count);
  const auto bs = call.rows(2, "bs", count);
  const auto out = call.array<uint32_t>(4, "out", count);
  return done(call,
              rec_id_table_intern_pairs(call.i32(0, "handle"), as.data, bs.data, count,
                                        reinterpret_cast<int32_t*>(out.data)),
              "internPairs");
}

// idTableLoadPairs(handle, firstRow, pairs, total)
napi_value id_load_pairs(Call& call) {
  const auto pairs = call.array<uint32_t>(2, "pairs");
  return done(call,
              rec_id_table_load_pairs(call.i32(0, "handle"), call.u32(1, "firstRow"), pairs.data,
                                      static_cast<uint32_t>(pairs.length / 2),
                                      call.u32(3, "total")),
              "loadPairs");
}

// idTablePairs(handle, firstRow, count, out)
napi_value id_pairs(Call& call) {
  const auto out = call.array<uint32_t>(3, "out");
  return done(call,
              rec_id_table_pairs(call.i32(0, "handle"), call.u32(1, "firstRow"),
                                 call.u32(2, "count"), out.data, out.length),
              "pairs");
}

napi_value metrics_create(Call& call) {
  return done(call, rec_metrics_create(call.u32(0, "counters"), call.u32(1, "histograms")),
              "SharedMetrics");
}

napi_value metrics_add(Call& call) {
  return done(call,
              rec_metrics_add(call.i32(0, "handle"), call.u32(1, "counter"), call.u64(2, "by")),
              "add");
}

napi_value metrics_set(Call& call) {
  return done(call,
              rec_metrics_set(call.i32(0, "handle"), call.u32(1, "counter"), call.u64(2, "value")),
              "set");
}

napi_value metrics_observe(Call& call) {
  return done(call,
              rec_metrics_observe(call.i32(0, "handle"), call.u32(1, "histogram"),
                                  call.number(2, "value")),
              "observe");
}

napi_value metrics_hold(Call& call) {
  return done(call,
              rec_metrics_hold(call.i32(0, "handle"), call.u32(1, "histogram"),
                               call.number(2, "value")),
              "hold");
}

napi_value metrics_take_held(Call& call) {
  double value = -1;
  const int32_t status =
      rec_metrics_take_held(call.i32(0, "handle"), call.u32(1, "histogram"), &value);
  if (status != REC_OK) return done(call, status, "takeHeld");
  return call.result(value);
}

napi_value metrics_read_counters(Call& call) {
  const auto out = call.array<double>(1, "out");
  return done(call, rec_metrics_read_counters(call.i32(0, "handle"), out.data, out.length),
              "read");
}

napi_value metrics_read_histogram(Call& call) {
  const auto out = call.array<double>(2, "out");
  return done(call,
              rec_metrics_read_histogram(call.i32(0, "handle"), call.u32(1, "histogram"), out.data,
                                         out.length),
              "read");
}

napi_value metrics_bucket_bound(Call& call) {
  return call.result(rec_metrics_bucket_bound(call.u32(0, "bucket")));
}

napi_value release(Call& call) {
  return done(call, rec_release(call.i32(0, "handle")), "release");
}

napi_value thread_name(Call& call) {
  return done(call, rec_thread_name(call.text(0, "name", 64).c_str()), "setThreadName");
}

napi_value thread_nice(Call& call) {
  const int64_t status = rec_thread_nice(call.i32(0, "nice"));
  return call.result(static_cast<double>(checked(status, "setThreadNice") - 100));
}

napi_value thread_slice(Call& call) {
  const int64_t status = rec_thread_slice(call.u32(0, "microseconds"));
  return call.result(static_cast<double>(checked(status, "setThreadSlice")));
}

napi_value refuse_connections(Call& call) {
  return call.result(
      static_cast<double>(checked(rec_refuse_connections(call.u32(0, "port")), "refuse")));
}

napi_value object_count(Call& call) { return call.result(registry_size()); }

}  // namespace
}  // namespace rec

void register_shared(napi_env env, napi_value exports) {
  using namespace rec;
  define<id_create>(env, exports, "idTableCreate");
  define<id_size>(env, exports, "idTableSize");
  define<id_intern>(env, exports, "idTableIntern");
  define<id_find>(env, exports, "idTableFind");
  define<id_text>(env, exports, "idTableId");
  define<id_saved_bytes>(env, exports, "idTableSavedBytes");
  define<id_save>(env, exports, "idTableSave");
  define<id_load>(env, exports, "idTableLoad");
  define<id_intern_pair>(env, exports, "idTableInternPair");
  define<id_intern_pairs>(env, exports, "idTableInternPairs");
  define<id_find_pairs>(env, exports, "idTableFindPairs");
  define<id_load_pairs>(env, exports, "idTableLoadPairs");
  define<id_pairs>(env, exports, "idTablePairs");
  define<metrics_create>(env, exports, "metricsCreate");
  define<shape_of<rec_metrics_shape>>(env, exports, "metricsShape");
  define<metrics_add>(env, exports, "metricsAdd");
  define<metrics_set>(env, exports, "metricsSet");
  define<metrics_observe>(env, exports, "metricsObserve");
  define<metrics_hold>(env, exports, "metricsHold");
  define<metrics_take_held>(env, exports, "metricsTakeHeld");
  define<metrics_read_counters>(env, exports, "metricsReadCounters");
  define<metrics_read_histogram>(env, exports, "metricsReadHistogram");
  define<metrics_bucket_bound>(env, exports, "metricsBucketBound");
  define<release>(env, exports, "sharedRelease");
  define<thread_name>(env, exports, "threadName");
  define<thread_nice>(env, exports, "threadNice");
  define<thread_slice>(env, exports, "threadSlice");
  define<object_count>(env, exports, "objectCount");
  define<refuse_connections>(env, exports, "refuseConnections");
  register_tables(env, exports);
  register_aggregates(env, exports);
  register_embeddings(env, exports);
  register_slots(env, exports);
}

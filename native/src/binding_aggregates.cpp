// Entry points of the aggregate table.
#include <vector>

#include "binding_shared.h"

namespace rec {
namespace {

constexpr size_t kNumbers = 6;

uint32_t whole(double value) {
  if (!(value >= 0 && value <= UINT32_MAX) || value != static_cast<uint32_t>(value)) {
    fail("REC_NATIVE_ARGUMENT", "aggregates: a number is not whole or out of range");
  }
  return static_cast<uint32_t>(value);
}

// aggregateTableCreate(rows, Float64Array of kind, counter, source, paneMs, panes, halfLifeMs ...,
// rowsInMemory)
napi_value create(Call& call) {
  const auto flat = call.array<double>(1, "aggregates");
  std::vector<rec_aggregate> aggregates(flat.length / kNumbers);
  for (size_t i = 0; i < aggregates.size(); i++) {
    const double* from = flat.data + kNumbers * i;
    aggregates[i] = {whole(from[0]), whole(from[1]), whole(from[2]),
                     whole(from[3]), whole(from[4]), from[5]};
  }
  return done(call,
              rec_aggregate_table_create(call.u32(0, "rows"), aggregates.data(),
                                         static_cast<uint32_t>(aggregates.size()),
                                         call.u32(2, "rowsInMemory")),
              "AggregateTable");
}

// aggregateTableApply(handle, rows, counters, sources, values, times, offsets, count, watermarkMs,
// lateOut)
napi_value apply(Call& call) {
  const size_t count = count_of(call, 7);
  rec_aggregate_updates updates;
  updates.rows = call.rows(1, "rows", count).data;
  updates.counters = call.array<uint8_t>(2, "counters", count).data;
  updates.sources = call.array<uint8_t>(3, "sources", count).data;
  updates.values = call.array<uint32_t>(4, "values", count).data;
  updates.times = call.array<double>(5, "times", count).data;
  updates.offsets = call.array<double>(6, "offsets", count).data;
  updates.count = count;
  updates.watermark_ms = call.bound(8, "watermarkMs");
  const auto late = call.array<uint32_t>(9, "lateOut");
  return done(call,
              rec_aggregate_table_apply(call.i32(0, "handle"), &updates, late.data, late.length),
              "apply");
}

// aggregateTableRead(handles, rows, count, asOfMs, out, offsetsOut | null, waits: 0 | 1)
napi_value read(Call& call) {
  const size_t count = count_of(call, 2);
  const auto handles = call.array<int32_t>(0, "handles", 1);
  const auto rows = call.rows(1, "rows", count);
  const auto out = call.array<double>(4, "out");
  Span<double> offsets = {nullptr, 0};
  if (call.has(5)) offsets = call.array<double>(5, "offsetsOut", count * handles.length);
  return done(call,
              rec_aggregate_table_read(handles.data, handles.length, rows.data, count,
                                       call.number(3, "asOfMs"), call.i32(6, "waits"), out.data,
                                       out.length, offsets.data, offsets.length),
              "read");
}

}  // namespace

void register_aggregates(napi_env env, napi_value exports) {
  define<create>(env, exports, "aggregateTableCreate");
  define<shape_of<rec_aggregate_table_shape>>(env, exports, "aggregateTableShape");
  define<usage_of<rec_aggregate_table_usage>>(env, exports, "aggregateTableUsage");
  define<open_file_of<rec_aggregate_table_open_file>>(env, exports, "aggregateTableOpenFile");
  define<apply>(env, exports, "aggregateTableApply");
  define<read>(env, exports, "aggregateTableRead");
  define<save_packed_of<rec_aggregate_table_save>>(env, exports, "aggregateTableSave");
  define<load_packed_of<rec_aggregate_table_load>>(env, exports, "aggregateTableLoad");
  define<clear_of<rec_aggregate_table_clear>>(env, exports, "aggregateTableClear");
}

}  // namespace rec

// Entry points of the pane, sequence and row tables.
#include "binding_shared.h"

namespace rec {
namespace {

// paneTableCreate(rows, counters, windows: Uint32Array of paneMs, panes, paneMs ..., fullRows)
napi_value pane_create(Call& call) {
  const auto flat = call.array<uint32_t>(2, "windows");
  static_assert(sizeof(rec_window) == 8);
  return done(call,
              rec_pane_table_create(call.u32(0, "rows"), call.u32(1, "counters"),
                                    reinterpret_cast<const rec_window*>(flat.data),
                                    static_cast<uint32_t>(flat.length / 2),
                                    call.u32(3, "fullRows")),
              "PaneTable");
}

napi_value pane_window(Call& call) {
  const auto out = call.array<uint32_t>(2, "out", 2);
  rec_window window = {};
  checked(rec_pane_table_window(call.i32(0, "handle"), call.u32(1, "index"), &window), "window");
  out.data[0] = window.pane_ms;
  out.data[1] = window.panes;
  return call.undefined();
}

// paneTableApply(handle, rows, counters, deltas, times, offsets, count, watermarkMs, lateOut)
napi_value pane_apply(Call& call) {
  const size_t count = count_of(call, 6);
  rec_pane_updates updates;
  updates.rows = call.rows(1, "rows", count).data;
  updates.counters = call.array<uint8_t>(2, "counters", count).data;
  updates.deltas = call.array<uint32_t>(3, "deltas", count).data;
  updates.times = call.array<double>(4, "times", count).data;
  updates.offsets = call.array<double>(5, "offsets", count).data;
  updates.count = count;
  updates.watermark_ms = call.bound(7, "watermarkMs");
  const auto late = call.array<uint32_t>(8, "lateOut");
  return done(call,
              rec_pane_table_apply(call.i32(0, "handle"), &updates, late.data, late.length),
              "apply");
}

// prefaultStart(expected: Int32Array of handle, rows, fullRows, handle ...)
napi_value prefault_start(Call& call) {
  const auto flat = call.array<int32_t>(0, "expected");
  static_assert(sizeof(rec_expected_rows) == 12);
  return done(call,
              rec_prefault_start(reinterpret_cast<const rec_expected_rows*>(flat.data),
                                 flat.length / 3),
              "prefault");
}

// paneTableRead(handle, rows, count, asOfMs, out, offsetsOut | null, waits: 0 | 1)
napi_value pane_read(Call& call) {
  const size_t count = count_of(call, 2);
  const auto rows = call.rows(1, "rows", count);
  const auto out = call.array<uint32_t>(4, "out");
  Span<double> offsets = {nullptr, 0};
  if (call.has(5)) offsets = call.array<double>(5, "offsetsOut", count);
  return done(call,
              rec_pane_table_read(call.i32(0, "handle"), rows.data, count,
                                  call.number(3, "asOfMs"), call.i32(6, "waits"), out.data,
                                  out.length, offsets.data, offsets.length),
              "read");
}

napi_value sequence_create(Call& call) {
  return done(call,
              rec_sequence_table_create(call.u32(0, "rows"), call.u32(1, "length"),
                                        call.u32(2, "words"), call.u32(3, "rowsInMemory")),
              "SequenceTable");
}

napi_value sequence_push(Call& call) {
  const auto record = call.array<uint32_t>(2, "record");
  return done(call,
              rec_sequence_table_push(call.i32(0, "handle"), call.i32(1, "row"), record.data,
                                      record.length, call.number(3, "offset")),
              "push");
}

// sequenceTablePushAll(handle, rows, count, records, timeAt, offsets | null)
napi_value sequence_push_all(Call& call) {
  const size_t count = count_of(call, 2);
  Span<double> offsets = {nullptr, 0};
  if (call.has(5)) offsets = call.array<double>(5, "offsets", count);
  const auto rows = call.rows(1, "rows", count);
  const auto records = call.array<uint32_t>(3, "records");
  return done(call,
              rec_sequence_table_push_all(call.i32(0, "handle"), rows.data, count, records.data,
                                          records.length, call.i32(4, "timeAt"), offsets.data),
              "pushAll");
}

napi_value sequence_replace(Call& call) {
  const auto records = call.array<uint32_t>(2, "records");
  return done(call,
              rec_sequence_table_replace(call.i32(0, "handle"), call.i32(1, "row"), records.data,
                                         records.length, call.u32(3, "count"),
                                         call.number(4, "offset")),
              "replace");
}

// sequenceTableRead(handle, row, out, offsetOut | null, waits: 0 | 1)
napi_value sequence_read(Call& call) {
  const auto out = call.array<uint32_t>(2, "out");
  Span<double> offset = {nullptr, 0};
  if (call.has(3)) offset = call.array<double>(3, "offsetOut", 1);
  return done(call,
              rec_sequence_table_read(call.i32(0, "handle"), call.i32(1, "row"),
                                      call.i32(4, "waits"), out.data, out.length, offset.data),
              "read");
}

napi_value row_create(Call& call) {
  return done(call, rec_row_table_create(call.u32(0, "rows"), call.u32(1, "rowBytes")),
              "RowTable");
}

napi_value row_write(Call& call) {
  const auto bytes = call.array<uint8_t>(2, "bytes");
  return done(call,
              rec_row_table_write(call.i32(0, "handle"), call.i32(1, "row"), bytes.data,
                                  bytes.length),
              "write");
}

napi_value row_read(Call& call) {
  const size_t count = count_of(call, 2);
  const auto rows = call.rows(1, "rows", count);
  const auto out = call.array<uint8_t>(3, "out");
  return done(call,
              rec_row_table_read(call.i32(0, "handle"), rows.data, count, out.data, out.length),
              "read");
}

}  // namespace

void register_tables(napi_env env, napi_value exports) {
  define<pane_create>(env, exports, "paneTableCreate");
  define<shape_of<rec_pane_table_shape, 5>>(env, exports, "paneTableShape");
  define<usage_of<rec_pane_table_usage>>(env, exports, "paneTableUsage");
  define<open_file_of<rec_pane_table_open_file>>(env, exports, "paneTableOpenFile");
  define<pane_window>(env, exports, "paneTableWindow");
  define<pane_apply>(env, exports, "paneTableApply");
  define<pane_read>(env, exports, "paneTableRead");
  define<save_packed_of<rec_pane_table_save>>(env, exports, "paneTableSave");
  define<load_packed_of<rec_pane_table_load>>(env, exports, "paneTableLoad");
  define<clear_of<rec_pane_table_clear>>(env, exports, "paneTableClear");
  define<prefault_start>(env, exports, "prefaultStart");
  define<sequence_create>(env, exports, "sequenceTableCreate");
  define<shape_of<rec_sequence_table_shape, 5>>(env, exports, "sequenceTableShape");
  define<usage_of<rec_sequence_table_usage>>(env, exports, "sequenceTableUsage");
  define<open_file_of<rec_sequence_table_open_file>>(env, exports, "sequenceTableOpenFile");
  define<sequence_push>(env, exports, "sequenceTablePush");
  define<sequence_push_all>(env, exports, "sequenceTablePushAll");
  define<sequence_replace>(env, exports, "sequenceTableReplace");
  define<sequence_read>(env, exports, "sequenceTableRead");
  define<save_packed_of<rec_sequence_table_save>>(env, exports, "sequenceTableSave");
  define<load_packed_of<rec_sequence_table_load>>(env, exports, "sequenceTableLoad");
  define<clear_of<rec_sequence_table_clear>>(env, exports, "sequenceTableClear");
  define<row_create>(env, exports, "rowTableCreate");
  define<shape_of<rec_row_table_shape>>(env, exports, "rowTableShape");
  define<row_write>(env, exports, "rowTableWrite");
  define<row_read>(env, exports, "rowTableRead");
}

}  // namespace rec

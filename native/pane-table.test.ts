import { expect, test } from "bun:test";
import { PaneTable, type PaneTableOptions, type PaneUpdates } from "./pane-table.ts";
import { ReferencePaneTable } from "./reference/pane-table.ts";
import { seededRandom } from "./test/seeded-random.ts";

const windows = [
  { paneMs: 10_000, panes: 6 },
  { paneMs: 60_000, panes: 10 },
  { paneMs: 300_000, panes: 12 },
  { paneMs: 3_600_000, panes: 24 },
];

interface Event {
  row: number;
  counter: number;
  delta: number;
  time: number;
  offset: number;
}

function updatesOf(events: readonly Event[], watermarkMs: number): PaneUpdates {
  return {
    rows: Uint32Array.from(events, (e) => e.row),
    counters: Uint8Array.from(events, (e) => e.counter),
    deltas: Uint32Array.from(events, (e) => e.delta),
    times: Float64Array.from(events, (e) => e.time),
    offsets: Float64Array.from(events, (e) => e.offset),
    count: events.length,
    watermarkMs,
  };
}

/** A stream with steps of all sizes, disorder, repeats of offsets and far-off times. */
function* stream(seed: number, options: { rows: number; counters: number; batches: number }) {
  const random = seededRandom(seed);
  let now = random() < 0.2 ? 0 : 1_700_000_000_000 + random() * 1e7;
  let offset = 0;
  for (let batch = 0; batch < options.batches; batch++) {
    const scale = 10 ** (random() * 7);
    const events: Event[] = [];
    for (let i = Math.floor(random() * 40); i > 0; i--) {
      now += random() * scale;
      const back = random() < 0.4 ? random() * 10 ** (random() * 8) : 0;
      if (random() < 0.9) offset++;
      events.push({
        row: Math.floor(random() * options.rows),
        counter: Math.floor(random() * options.counters),
        delta: Math.floor(random() * 2 ** (random() * 32)),
        time: Math.max(0, now - back),
        offset: random() < 0.05 ? -1 : offset,
      });
    }
    const watermark = random() < 0.2 ? Number.NEGATIVE_INFINITY : now - random() * 60_000;
    yield { updates: updatesOf(events, watermark), now, random };
  }
}

function compare(seed: number, options: PaneTableOptions): void {
  const { rows, counters } = options;
  const native = PaneTable.create(options);
  const reference = ReferencePaneTable.create(options);
  const some = Int32Array.from({ length: rows + 2 }, (_, i) => i - 1);
  some[rows + 1] = 0;
  const outputs = [0, 1].map(() => new Uint32Array(some.length * native.width));
  const offsets = [0, 1].map(() => new Float64Array(some.length));
  const late = [0, 1].map(() => new Uint32Array(options.windows.length));
  for (const { updates, now, random } of stream(seed, { rows, counters, batches: 60 })) {
    expect(native.apply(updates, late[0])).toBe(reference.apply(updates, late[1]));
    expect(late[0]).toEqual(late[1]);
    for (let read = 0; read < 6; read++) {
      const asOf = now + (random() - 0.5) * 10 ** (random() * 9);
      native.read(some, some.length, asOf, { out: outputs[0], offsets: offsets[0] });
      reference.read(some, some.length, asOf, { out: outputs[1], offsets: offsets[1] });
      expect(outputs[0]).toEqual(outputs[1]);
      expect(offsets[0]).toEqual(offsets[1]);
    }
  }
  native.release();
}

test("equals its twin on random streams with disorder, late events and odd shapes", () => {
  for (let seed = 1; seed <= 12; seed++) {
    compare(seed, { rows: 7, counters: 6, windows });
    compare(seed + 100, { rows: 3, counters: 1, windows: windows.slice(0, 1) });
    compare(seed + 200, { rows: 1, counters: 5, windows: [{ paneMs: 7, panes: 1 }] });
    compare(seed + 300, { rows: 2, counters: 64, windows: [{ paneMs: 1_000, panes: 3 }] });
  }
});

test("equals its twin where most rows hold a few counts", () => {
  for (let seed = 1; seed <= 4; seed++) {
    compare(seed + 400, { rows: 150, counters: 6, windows });
    compare(seed + 500, { rows: 90, counters: 3, windows: [{ paneMs: 1, panes: 5 }] });
  }
});

/** Fills the windows of a row with more than its slot has room for. */
function fill(table: PaneTable, row: number, fromMs: number): void {
  for (let i = 0; i < 40; i++) {
    const time = fromMs + 10 * i;
    single(table, { row, time, counter: i % 2 }, time);
  }
}

test("rows over the room for full ones: the least recently used gives way, and is counted", () => {
  const long = { rows: 50, counters: 2, windows: [{ paneMs: 10, panes: 100 }], fullRows: 3 };
  const table = PaneTable.create(long);
  const read = (row: number, asOfMs: number) => {
    const out = new Uint32Array(table.width);
    table.read(Int32Array.of(row), 1, asOfMs, { out, offsets: null });
    return [...out];
  };
  for (let row = 0; row < 3; row++) fill(table, row, 1_000 * row);
  expect([table.fullRowsUsed, table.usage.evicted]).toEqual([3, 0]);
  fill(table, 7, 5_000);
  // Row 0 was over: nothing is lost but what no reader of now could see.
  expect([table.fullRowsUsed, table.usage.evicted]).toEqual([3, 0]);
  expect(read(0, 5_390)).toEqual([0, 0, 20, 20]);
  expect(read(7, 5_390)).toEqual([20, 20, 20, 20]);
  fill(table, 8, 5_100);
  fill(table, 9, 5_200);
  expect(table.usage.evicted).toBe(0);
  fill(table, 10, 5_300);
  expect([table.fullRowsUsed, table.usage.evicted]).toEqual([3, 1]);
  expect(read(7, 5_690)).toEqual([0, 0, 20, 20]);
  expect(read(10, 5_690)).toEqual([20, 20, 20, 20]);
  // It comes back with what happens from then on.
  single(table, { row: 7, time: 5_700 });
  expect(read(7, 5_700)).toEqual([1, 0, 21, 20]);
  table.clear();
  expect(table.fullRowsUsed).toBe(0);
  fill(table, 1, 9_000);
  expect(read(1, 9_390)).toEqual([20, 20, 20, 20]);
  table.release();
});

const one = { rows: 4, counters: 2, windows: [{ paneMs: 10, panes: 3 }] };

function single(table: PaneTable, event: Partial<Event>, watermark = 0): Uint32Array {
  const late = new Uint32Array(1);
  const base = { row: 0, counter: 0, delta: 1, time: 0, offset: -1 };
  table.apply(updatesOf([{ ...base, ...event }], watermark), late);
  return late;
}

function valueAt(table: PaneTable, asOfMs: number): number[] {
  const out = new Uint32Array(table.width);
  table.read(Int32Array.of(0), 1, asOfMs, { out, offsets: null });
  return [out[0], out[2]];
}

test("a window holds the open pane and those before it, and a total holds all", () => {
  const table = PaneTable.create(one);
  single(table, { time: 105 });
  single(table, { time: 119, delta: 10 });
  single(table, { time: 121, delta: 100 });
  expect(valueAt(table, 99)).toEqual([0, 111]);
  expect(valueAt(table, 109)).toEqual([1, 111]);
  expect(valueAt(table, 110)).toEqual([11, 111]);
  expect(valueAt(table, 129)).toEqual([111, 111]);
  expect(valueAt(table, 130)).toEqual([110, 111]);
  expect(valueAt(table, 149)).toEqual([100, 111]);
  expect(valueAt(table, 150)).toEqual([0, 111]);
  table.release();
});

test("a late event counts in the total and is told, an old offset does nothing", () => {
  const table = PaneTable.create(one);
  single(table, { time: 200, offset: 5 });
  expect([...single(table, { time: 195, offset: 6 }, 200)]).toEqual([1]);
  expect([...single(table, { time: 195, offset: 7 }, 199)]).toEqual([0]);
  expect([...single(table, { time: 160, offset: 8 })]).toEqual([1]);
  expect([...single(table, { time: 195, offset: 8 })]).toEqual([0]);
  expect(valueAt(table, 200)).toEqual([2, 4]);
  table.release();
});

function savedOf(table: PaneTable, first = 0, count = table.rows): Uint8Array {
  const bytes = new Uint8Array(count * table.rowBytes);
  return bytes.subarray(0, table.save(first, count, bytes));
}

test("saved rows continue identically", () => {
  const options = { rows: 9, counters: 3, windows };
  const first = PaneTable.create(options);
  const second = PaneTable.create(options);
  const late = new Uint32Array(4);
  const batches = [...stream(77, { ...options, batches: 20 })];
  for (const { updates } of batches.slice(0, 10)) first.apply(updates, late);
  expect(first.fullRowsUsed).toBeGreaterThan(2);
  expect(second.load(0, savedOf(first, 0, 4))).toBe(4);
  expect(second.load(4, savedOf(first, 4, 5))).toBe(5);
  expect(second.fullRowsUsed).toBe(first.fullRowsUsed);
  for (const { updates } of batches.slice(10)) {
    first.apply(updates, late);
    second.apply(updates, late);
  }
  expect(savedOf(second)).toEqual(savedOf(first));
  first.clear();
  // Two masks of a slot that say that nothing is in it.
  expect(savedOf(first)).toEqual(new Uint8Array(9 * 2));
  first.release();
  second.release();
});

test("rows saved at different times, brought up to date from the earliest, are the same", () => {
  const options = { rows: 9, counters: 3, windows };
  const [live, restored] = [PaneTable.create(options), PaneTable.create(options)];
  const late = new Uint32Array(4);
  const batches = [...stream(78, { ...options, batches: 20 })].map(({ updates }) => {
    // One that is always new has no place in what is taken in again.
    return { ...updates, offsets: updates.offsets.map((offset) => Math.max(0, offset)) };
  });
  for (const [i, updates] of batches.entries()) {
    live.apply(updates, late);
    if (i >= 8 && i < 17) restored.load(i - 8, savedOf(live, i - 8, 1));
  }
  for (const updates of batches.slice(9)) restored.apply(updates, late);
  expect(savedOf(restored)).toEqual(savedOf(live));
  live.release();
  restored.release();
});

/** `count(row)` updates of each row, all of them in panes of their own that are still read. */
function listed(table: PaneTable, count: (row: number) => number, fromMs: number): void {
  const events: Event[] = [];
  for (let row = 0; row < table.rows; row++) {
    for (let i = 0; i < count(row); i++) {
      const at = { row, counter: (row + i) % table.counters, time: fromMs + 60_000 * i };
      events.push({ ...at, delta: 1 + i, offset: -1 });
    }
  }
  table.apply(updatesOf(events, fromMs), new Uint32Array(table.windows.length));
}

test("a row that is loaded takes the place of one that had less beside it, or more", () => {
  const options = { rows: 143, counters: 6, windows };
  const [first, second] = [PaneTable.create(options), PaneTable.create(options)];
  listed(first, (row) => row % 13, 1e12);
  listed(second, (row) => (5 * row + 3) % 11, 1e12);
  expect([first.fullRowsUsed, second.fullRowsUsed]).toEqual([22, 0]);
  const bytes = savedOf(first);
  expect(second.load(0, bytes)).toBe(143);
  expect(second.fullRowsUsed).toBe(22);
  expect(savedOf(second)).toEqual(bytes);
  for (const table of [first, second]) listed(table, (row) => (3 * row) % 7, 1e12 + 700_000);
  expect(second.fullRowsUsed).toBeGreaterThan(40);
  expect(savedOf(second)).toEqual(savedOf(first));
  first.release();
  second.release();
});

test("rows that find no full row keep their totals, and damaged ones are refused", () => {
  const first = PaneTable.create({ rows: 9, counters: 3, windows });
  const second = PaneTable.create({ rows: 9, counters: 3, windows, fullRows: 1 });
  const late = new Uint32Array(4);
  for (const { updates } of stream(77, { rows: 9, counters: 3, batches: 10 })) {
    first.apply(updates, late);
  }
  const bytes = savedOf(first);
  expect(() => second.load(1, bytes)).toThrow("range");
  expect(() => second.load(0, bytes.subarray(0, bytes.length - 1))).toThrow("range");
  second.load(0, bytes);
  expect([second.fullRowsUsed, second.usage.evicted]).toEqual([1, first.fullRowsUsed - 1]);
  const totals = (table: PaneTable) => {
    const out = new Uint32Array(9 * table.width);
    const rows = Int32Array.from({ length: 9 }, (_, row) => row);
    table.read(rows, 9, 0, { out, offsets: null });
    return rows
      .values()
      .map((row) => out.slice((row + 1) * table.width - 3, (row + 1) * table.width));
  };
  expect([...totals(second)]).toEqual([...totals(first)]);
  first.release();
  second.release();
});

test("wrong arguments throw and change nothing", () => {
  const table = PaneTable.create(one);
  const out = new Uint32Array(table.width);
  const rows = Int32Array.of(0);
  expect(() => table.read(rows, 2, 0, { out, offsets: null })).toThrow("rows");
  expect(() => table.read(rows, 1, 0, { out: out.subarray(1), offsets: null })).toThrow(
    "too short",
  );
  expect(() => table.read(Int32Array.of(4), 1, 0, { out, offsets: null })).toThrow("range");
  expect(() => table.read(Int32Array.of(-2), 1, 0, { out, offsets: null })).toThrow("range");
  expect(() => table.read(rows, 1, Number.NaN, { out, offsets: null })).toThrow("finite");
  expect(() => table.read(rows, 1, 0, { out, offsets: new Float64Array(0) })).toThrow("offsetsOut");
  expect(() => table.read(rows, -1, 0, { out, offsets: null })).toThrow("count");
  for (const event of [
    { row: 4 },
    { row: 0xffff_ffff },
    { counter: 2 },
    { time: -1 },
    { time: Number.NaN },
    { time: 1e300 },
    { offset: -2 },
    { offset: Number.POSITIVE_INFINITY },
  ]) {
    expect(() => single(table, event)).toThrow("range");
  }
  expect(() => single(table, {}, Number.NaN)).toThrow("range");
  const bytes = new Uint8Array(table.rowBytes);
  expect(() => table.save(0, 2, bytes)).toThrow("short");
  expect(() => table.save(4, 1, bytes)).toThrow("range");
  expect(() => table.load(0, new Uint8Array(table.rowBytes).fill(255))).toThrow("range");
  expect(valueAt(table, 1)).toEqual([0, 0]);
  expect(() => PaneTable.create({ ...one, counters: 65 })).toThrow("range");
  expect(() => PaneTable.create({ ...one, windows: [{ paneMs: 0, panes: 1 }] })).toThrow("range");
  expect(() => PaneTable.attach(12_345)).toThrow("handle");
  table.release();
  expect(() => valueAt(table, 1)).toThrow("handle");
});

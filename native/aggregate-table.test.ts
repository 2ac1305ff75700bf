import { expect, test } from "bun:test";
import {
  type Aggregate,
  AggregateTable,
  type AggregateUpdates,
  MergedAggregates,
} from "./aggregate-table.ts";
import {
  estimateDistinct,
  mergedAggregates,
  ReferenceAggregateTable,
} from "./reference/aggregate-table.ts";
import { seededRandom } from "./test/seeded-random.ts";

const short = { paneMs: 10_000, panes: 6 };
const long = { paneMs: 300_000, panes: 12 };
const aggregates: readonly Aggregate[] = [
  { kind: "decayed", counter: 0, source: 0, halfLifeMs: 60_000 },
  { kind: "max", counter: 1, source: 0, window: short },
  { kind: "distinct", counter: 0, source: 1, window: short },
  { kind: "distinct", counter: 0, source: 2, window: long },
  { kind: "max", counter: 0, source: 0, window: null },
  { kind: "distinct", counter: 1, source: 1, window: null },
  { kind: "max", counter: 1, source: 0, window: { paneMs: 7, panes: 1 } },
  { kind: "decayed", counter: 1, source: 0, halfLifeMs: 86_400_000 },
];

interface Event {
  row: number;
  counter: number;
  source: number;
  value: number;
  time: number;
  offset: number;
}

function updatesOf(events: readonly Event[], watermarkMs: number): AggregateUpdates {
  return {
    rows: Uint32Array.from(events, (e) => e.row),
    counters: Uint8Array.from(events, (e) => e.counter),
    sources: Uint8Array.from(events, (e) => e.source),
    values: Uint32Array.from(events, (e) => e.value),
    times: Float64Array.from(events, (e) => e.time),
    offsets: Float64Array.from(events, (e) => e.offset),
    count: events.length,
    watermarkMs,
  };
}

/** Batches with steps of all sizes, disorder, repeats of offsets, and values from few to many. */
function* stream(seed: number, rows: number, batches: number) {
  const random = seededRandom(seed);
  let now = random() < 0.2 ? 0 : 1_700_000_000_000 + random() * 1e7;
  let offset = 0;
  for (let batch = 0; batch < batches; batch++) {
    const scale = 10 ** (random() * 6);
    const values = 10 ** (1 + random() * 4);
    const events: Event[] = [];
    for (let i = Math.floor(random() * 120); i > 0; i--) {
      now += random() * scale;
      const back = random() < 0.4 ? random() * 10 ** (random() * 7) : 0;
      if (random() < 0.9) offset++;
      events.push({
        row: Math.floor(random() * rows),
        counter: Math.floor(random() * 3),
        source: Math.floor(random() * 3),
        value: Math.floor(random() * values),
        time: Math.max(0, now - back),
        offset: random() < 0.05 ? -1 : offset,
      });
    }
    const watermark = random() < 0.2 ? Number.NEGATIVE_INFINITY : now - random() * 60_000;
    yield { updates: updatesOf(events, watermark), now, random };
  }
}

/** Everything but decayed counts, which sum in another order, bit for bit. */
function expectSame(found: Float64Array, should: Float64Array): void {
  for (const [i, value] of found.entries()) {
    const { kind } = aggregates[i % aggregates.length]!;
    const want = should[i]!;
    const allowed = kind === "decayed" ? 1e-12 * want : 0;
    if (!(Math.abs(value - want) <= allowed)) expect([i, kind, value]).toEqual([i, kind, want]);
  }
}

test("equals its twin on random streams with disorder, late updates and many values", () => {
  for (let seed = 1; seed <= 12; seed++) {
    const rows = 1 + (seed % 3);
    const native = AggregateTable.create(rows, aggregates);
    const reference = new ReferenceAggregateTable(aggregates);
    const some = Int32Array.from({ length: rows + 1 }, (_, i) => i - 1);
    const outputs = [0, 1].map(() => new Float64Array(some.length * native.width));
    const offsets = [0, 1].map(() => new Float64Array(some.length));
    const late = [0, 1].map(() => new Uint32Array(native.width));
    for (const { updates, now, random } of stream(seed, rows, 40)) {
      expect(native.apply(updates, late[0]!)).toBe(reference.apply(updates, late[1]!));
      expect(late[0]).toEqual(late[1]);
      for (let read = 0; read < 4; read++) {
        const asOf = now + (random() - 0.5) * 10 ** (random() * 8);
        native.read(some, some.length, asOf, { out: outputs[0]!, offsets: offsets[0]! });
        reference.read(some, some.length, asOf, { out: outputs[1]!, offsets: offsets[1]! });
        expectSame(outputs[0]!, outputs[1]!);
        expect(offsets[0]).toEqual(offsets[1]);
      }
    }
    native.release();
  }
});

test("tables that share the updates read as one that has them all", () => {
  const tables = [0, 1, 2].map(() => AggregateTable.create(2, aggregates));
  const twins = tables.map(() => new ReferenceAggregateTable(aggregates));
  const merged = new MergedAggregates(tables);
  const late = new Uint32Array(aggregates.length);
  const rows = Int32Array.of(1, -1, 0);
  const offsets = new Float64Array(9);
  const [out, should] = [0, 1].map(() => new Float64Array(3 * merged.width));
  let part = 0;
  for (const { updates, now, random } of stream(91, 2, 60)) {
    tables[part]!.apply(updates, late);
    twins[part]!.apply(updates, late);
    part = Math.floor(random() * 3);
    const asOf = now + (random() - 0.5) * 10 ** (random() * 7);
    merged.read(rows, 3, asOf, { out: out!, offsets });
    for (const [i, row] of rows.entries()) {
      const states = twins.flatMap((twin) => twin.state(row) ?? []);
      should!.set(mergedAggregates(aggregates, states, asOf), i * merged.width);
      const applied = twins.map((twin) => twin.state(row)?.offset ?? -1);
      expect(tables.map((_, t) => offsets[3 * t + i]!)).toEqual(applied);
    }
    expectSame(out!, should!);
  }
  const other = AggregateTable.create(2, aggregates.slice(1));
  const unlike = new MergedAggregates([tables[0]!, other]);
  expect(() => unlike.read(rows, 1, 0, { out: out!, offsets: null })).toThrow("range");
  for (const table of [...tables, other]) table.release();
});

function readOne(table: AggregateTable, asOfMs: number): number[] {
  const out = new Float64Array(table.width);
  table.read(Int32Array.of(0), 1, asOfMs, { out, offsets: null });
  return [...out];
}

function single(table: AggregateTable, event: Partial<Event>, watermark = 0): number[] {
  const base = { row: 0, counter: 0, source: 0, value: 1, time: 0, offset: -1 };
  const late = new Uint32Array(table.width);
  table.apply(updatesOf([{ ...base, ...event }], watermark), late);
  return [...late];
}

test("a decayed count halves every half-life and does not depend on the order", () => {
  const decayed: Aggregate = { kind: "decayed", counter: 0, source: 0, halfLifeMs: 1_000 };
  const table = AggregateTable.create(2, [decayed]);
  single(table, { time: 5_000, value: 8 });
  expect(readOne(table, 5_000)).toEqual([8]);
  expect(readOne(table, 8_000)).toEqual([1]);
  // As of its newest event, whatever an earlier time would have seen.
  expect(readOne(table, 1_000)).toEqual([8]);
  expect(single(table, { time: 4_000, value: 8 }, 1e12)).toEqual([0]);
  expect(readOne(table, 5_000)).toEqual([12]);
  single(table, { time: 6_000, value: 1 });
  expect(readOne(table, 7_000)).toEqual([3.5]);
  table.release();
});

test("distinct values are exact up to 32 a pane and near beyond", () => {
  const distinct: Aggregate = { kind: "distinct", counter: 0, source: 0, window: short };
  const table = AggregateTable.create(1, [distinct]);
  // The same 32 in each of three panes, and 10 more: exact, and merged.
  for (let pane = 0; pane < 3; pane++) {
    for (let i = 0; i < 32; i++) single(table, { value: 7 * i, time: 10_000 * pane });
  }
  expect(readOne(table, 20_000)).toEqual([32]);
  for (let i = 0; i < 10; i++) single(table, { value: 1_000 + i, time: 30_000 });
  expect(readOne(table, 30_000)).toEqual([42]);
  expect(readOne(table, 89_999)).toEqual([10]);
  expect(readOne(table, 90_000)).toEqual([0]);
  const errors: number[] = [];
  for (const many of [100, 1_000, 30_000]) {
    for (let from = 0; from < 20; from++) {
      const values = Array.from({ length: many }, (_, i) => from * 100_000 + i);
      errors.push(estimateDistinct(values) / many - 1);
    }
  }
  const squares = errors.reduce((sum, error) => sum + error * error, 0);
  expect(Math.sqrt(squares / errors.length)).toBeLessThan(0.12);
  table.release();
});

test("saved rows continue identically, and take what they hold", () => {
  const [first, second] = [0, 1].map(() => AggregateTable.create(5, aggregates));
  const late = new Uint32Array(aggregates.length);
  const batches = [...stream(77, 3, 20)];
  for (const { updates } of batches.slice(0, 10)) first!.apply(updates, late);
  const bytes = new Uint8Array(5 * first!.rowBytes);
  const used = first!.save(0, 5, bytes);
  expect(used).toBeLessThan(bytes.length);
  expect(second!.load(0, bytes.subarray(0, used))).toBe(5);
  for (const { updates } of batches.slice(10)) {
    first!.apply(updates, late);
    second!.apply(updates, late);
  }
  const [one, other] = [first!, second!].map((table) => {
    const out = new Uint8Array(5 * table.rowBytes);
    return out.slice(0, table.save(0, 5, out));
  });
  expect(other).toEqual(one!);
  first!.clear();
  expect(first!.save(0, 5, bytes)).toBeLessThan(one!.length);
  expect(readOne(first!, 1e12)).toEqual(aggregates.map(() => 0));
  first!.release();
  second!.release();
});

test("wrong arguments throw and change nothing", () => {
  const table = AggregateTable.create(2, aggregates);
  for (const event of [
    { row: 2 },
    { row: 0xffff_ffff },
    { value: 0xffff_ffff },
    { time: -1 },
    { time: Number.NaN },
    { offset: -2 },
  ]) {
    expect(() => single(table, event)).toThrow("range");
  }
  expect(() => single(table, {}, Number.NaN)).toThrow("range");
  const rows = Int32Array.of(0);
  const out = new Float64Array(table.width);
  const into = { out, offsets: null };
  expect(() => table.read(rows, 2, 0, into)).toThrow("rows");
  expect(() => table.read(Int32Array.of(2), 1, 0, into)).toThrow("range");
  expect(() => table.read(rows, 1, Number.NaN, into)).toThrow("finite");
  expect(() => table.read(rows, 1, 0, { ...into, out: out.subarray(1) })).toThrow("short");
  const bytes = new Uint8Array(table.rowBytes);
  expect(() => table.save(0, 2, bytes)).toThrow("short");
  expect(() => table.load(0, bytes.fill(255))).toThrow("range");
  expect(() => table.load(0, bytes.subarray(0, 3))).toThrow("range");
  expect(readOne(table, 1)).toEqual(aggregates.map(() => 0));
  const window = { paneMs: 1_000, panes: 65 };
  const wrong = { kind: "distinct", counter: 0, source: 0, window } as const;
  expect(() => AggregateTable.create(1, [wrong])).toThrow("range");
  const never = { kind: "decayed", counter: 0, source: 0, halfLifeMs: 0 } as const;
  expect(() => AggregateTable.create(1, [never])).toThrow("range");
  expect(() => AggregateTable.create(1, [])).toThrow("range");
  expect(() => AggregateTable.attach(12_345)).toThrow("handle");
  table.release();
  expect(() => readOne(table, 1)).toThrow("handle");
});

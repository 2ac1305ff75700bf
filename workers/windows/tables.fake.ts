import { assert } from "../../models/core/assert.ts";
import { noRow } from "../../models/core/bytes.ts";
import type { WindowDefinition } from "../../models/definition/define.ts";
import { sequenceWords } from "../../models/features/sequence-record.ts";
import { isLate } from "../../models/features/window.ts";
import { byScope } from "../by-scope.ts";
import type {
  CounterTable,
  CounterUpdates,
  RecordOrder,
  RecordTable,
  WindowTables,
} from "./tables.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const rowBytes = 1 << 16;

/** Rows as lines of text; returns the bytes used. */
function saveLines(out: Uint8Array, count: number, of: (i: number) => string): number {
  const lines = Array.from({ length: count }, (_, i) => `${of(i)}\n`);
  return encoder.encodeInto(lines.join(""), out).written;
}

/** Returns how many lines there were. */
function loadLines(data: Uint8Array, take: (i: number, line: string) => void): number {
  const lines = decoder.decode(data).split("\n").slice(0, -1);
  lines.forEach((line, i) => {
    take(i, line);
  });
  return lines.length;
}

/** Counters by (window, pane, counter) in plain maps: nothing expires, so any time can be read. */
export class FakePaneTable implements CounterTable {
  readonly rowBytes = rowBytes;
  readonly fullRowsUsed = 0;
  readonly rows = new Map<number, Map<string, number>>();
  readonly #windows: readonly WindowDefinition[];

  constructor(windows: readonly WindowDefinition[]) {
    this.#windows = windows;
  }

  apply(updates: CounterUpdates, lateOut: Uint32Array): void {
    lateOut.fill(0);
    for (let i = 0; i < updates.count; i++) {
      const row = this.rows.get(updates.rows[i]) ?? new Map<string, number>();
      this.rows.set(updates.rows[i], row);
      if (updates.offsets[i] <= (row.get("applied") ?? -1)) continue;
      row.set("applied", updates.offsets[i]);
      const add = (key: string) => row.set(key, (row.get(key) ?? 0) + updates.deltas[i]);
      this.#windows.forEach(({ paneMs }, w) => {
        if (isLate(updates.times[i], paneMs, updates.watermarkMs)) lateOut[w]++;
        else add(`${w}/${Math.floor(updates.times[i] / paneMs)}/${updates.counters[i]}`);
      });
      add(`total/${updates.counters[i]}`);
    }
  }

  /** Count in window `w` (the number of windows: the total) as of a time. */
  value(row: number, w: number, counter: number, asOfMs: number): number {
    const cells = this.rows.get(row);
    const window = this.#windows[w];
    if (window === undefined) return cells?.get(`total/${counter}`) ?? 0;
    const last = Math.floor(asOfMs / window.paneMs);
    let sum = 0;
    for (let pane = last - window.panes + 1; pane <= last; pane++) {
      sum += cells?.get(`${w}/${pane}/${counter}`) ?? 0;
    }
    return sum;
  }

  save(firstRow: number, count: number, out: Uint8Array): number {
    return saveLines(out, count, (i) => {
      const cells = this.rows.get(firstRow + i);
      return JSON.stringify(cells === undefined ? null : Object.fromEntries(cells));
    });
  }

  load(firstRow: number, data: Uint8Array): number {
    return loadLines(data, (i, line) => {
      const value: Record<string, number> | null = JSON.parse(line);
      if (value !== null) this.rows.set(firstRow + i, new Map(Object.entries(value)));
    });
  }

  clear(): void {
    this.rows.clear();
  }
}

function timeOf(record: readonly number[], at: number): number {
  return new Float64Array(Uint32Array.of(record[at] ?? 0, record[at + 1] ?? 0).buffer)[0];
}

export class FakeSequenceTable implements RecordTable {
  readonly rowBytes = rowBytes;
  readonly rows = new Map<number, number[]>();
  readonly #offsets = new Map<number, number>();
  readonly #length: number;
  readonly #words: number;

  constructor(length: number, words = sequenceWords) {
    this.#length = length;
    this.#words = words;
  }

  pushAll(
    rows: Uint32Array,
    records: Uint32Array,
    count: number,
    { timeAt, offsets }: RecordOrder,
  ): void {
    for (let i = 0; i < count; i++) {
      if (!this.#isNew(rows[i], offsets[i])) continue;
      const record = [...records.subarray(i * this.#words, (i + 1) * this.#words)];
      const old = this.#recordsOf(rows[i]);
      const isNewer = (other: number[]) => timeOf(other, timeAt) > timeOf(record, timeAt);
      const place = old.findLastIndex((other) => !isNewer(other)) + 1;
      old.splice(place, 0, record);
      this.rows.set(rows[i], old.slice(-this.#length).flat());
    }
  }

  #recordsOf(row: number): number[][] {
    const words = this.rows.get(row) ?? [];
    return Array.from({ length: words.length / this.#words }, (_, i) =>
      words.slice(i * this.#words, (i + 1) * this.#words),
    );
  }

  #isNew(row: number, offset: number): boolean {
    if (offset < 0) return true;
    if (offset <= (this.#offsets.get(row) ?? -1)) return false;
    this.#offsets.set(row, offset);
    return true;
  }

  read(row: number, out: Uint32Array): number {
    const words = this.rows.get(row) ?? [];
    out.set(words);
    return words.length / this.#words;
  }

  save(firstRow: number, count: number, out: Uint8Array): number {
    return saveLines(out, count, (i) => {
      const row = firstRow + i;
      return [this.#offsets.get(row) ?? -1, ...(this.rows.get(row) ?? [])].join();
    });
  }

  load(firstRow: number, data: Uint8Array): number {
    return loadLines(data, (i, line) => {
      const [offset = -1, ...words] = line.split(",").map(Number);
      this.#offsets.set(firstRow + i, offset);
      if (words.length > 0) this.rows.set(firstRow + i, words);
    });
  }

  clear(): void {
    this.rows.clear();
    this.#offsets.clear();
  }
}

export class FakePairs {
  readonly rows = new Map<string, number>();
  readonly #capacity: number;

  constructor(capacity = 1e6) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.rows.size;
  }

  pairs(firstRow: number, count: number, out: Uint32Array): void {
    const keys = [...this.rows.keys()].slice(firstRow, firstRow + count);
    out.set(keys.flatMap((key) => key.split("/").map(Number)));
  }

  loadPairs(firstRow: number, pairs: Uint32Array): void {
    for (let i = 0; 2 * i < pairs.length; i++) {
      const row = this.#rowOf(`${pairs[2 * i]}/${pairs[2 * i + 1]}`);
      assert(row === firstRow + i, "pair rows never change");
    }
  }

  internPairs(as: Uint32Array, bs: Uint32Array, count: number, out: Uint32Array): number {
    let refused = 0;
    for (let i = 0; i < count; i++) {
      out[i] = this.#rowOf(`${as[i]}/${bs[i]}`);
      if (out[i] === noRow) refused++;
    }
    return refused;
  }

  #rowOf(key: string): number {
    const known = this.rows.get(key);
    if (known !== undefined) return known;
    if (this.rows.size >= this.#capacity) return noRow;
    this.rows.set(key, this.rows.size);
    return this.rows.size - 1;
  }
}

export interface FakeTables extends WindowTables {
  readonly user: FakePaneTable;
  readonly item: FakePaneTable;
  readonly category: FakePaneTable;
  readonly userCategory: FakePaneTable;
  readonly global: FakePaneTable;
  readonly pairs: FakePairs;
  readonly recent: FakeSequenceTable;
}

export function fakeTables(
  windows: readonly WindowDefinition[],
  options: { recentLength: number; pairs?: number },
): FakeTables {
  return {
    user: new FakePaneTable(windows),
    item: new FakePaneTable(windows),
    category: new FakePaneTable(windows),
    userCategory: new FakePaneTable(windows),
    global: new FakePaneTable(windows),
    aggregates: byScope(() => null),
    pairs: new FakePairs(options.pairs),
    recent: new FakeSequenceTable(options.recentLength),
  };
}

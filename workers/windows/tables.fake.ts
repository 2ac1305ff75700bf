import type { WindowDefinition } from "../../models/definition/define.ts";
import { sequenceWords } from "../../models/features/sequence-record.ts";
import { isLate } from "../../models/features/window.ts";
import type { CounterTable, CounterUpdates, RecordTable, WindowTables } from "./tables.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const rowBytes = 1 << 16;

/** A row as text in a fixed number of bytes, so that the fakes can be saved like the real ones. */
function saveRows(out: Uint8Array, firstRow: number, count: number, of: (row: number) => unknown) {
  out.fill(0);
  for (let i = 0; i < count; i++) {
    out.set(encoder.encode(JSON.stringify(of(firstRow + i) ?? null)), i * rowBytes);
  }
}

function loadRows(
  data: Uint8Array,
  firstRow: number,
  count: number,
  set: (row: number, value: Record<string, number>) => void,
) {
  for (let i = 0; i < count; i++) {
    const bytes = data.subarray(i * rowBytes, (i + 1) * rowBytes);
    const value = JSON.parse(decoder.decode(bytes.subarray(0, bytes.indexOf(0))));
    if (value !== null) set(firstRow + i, value);
  }
}

/** Counters by (window, pane, counter) in plain maps: nothing expires, so any time can be read. */
export class FakePaneTable implements CounterTable {
  readonly rowBytes = rowBytes;
  readonly fullRowBytes = 8;
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

  save(firstRow: number, count: number, out: Uint8Array): void {
    const plain = (row: number) => {
      const cells = this.rows.get(row);
      return cells === undefined ? null : Object.fromEntries(cells);
    };
    saveRows(out, firstRow, count, plain);
  }

  load(firstRow: number, count: number, data: Uint8Array): void {
    loadRows(data, firstRow, count, (row, value) => {
      this.rows.set(row, new Map(Object.entries(value)));
    });
  }

  saveFull(): void {}

  loadFull(): void {}

  clear(): void {
    this.rows.clear();
  }
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

  push(row: number, record: Uint32Array, offset: number): void {
    if (!this.#isNew(row, offset)) return;
    const old = this.rows.get(row) ?? [];
    this.rows.set(row, [...old, ...record].slice(-this.#length * this.#words));
  }

  replace(row: number, records: Uint32Array, count: number, offset: number): void {
    if (!this.#isNew(row, offset)) return;
    this.rows.set(row, [...records.subarray(0, count * this.#words)]);
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

  save(firstRow: number, count: number, out: Uint8Array): void {
    const plain = (row: number) => ({
      ...(this.rows.get(row) ?? []),
      offset: this.#offsets.get(row) ?? -1,
    });
    saveRows(out, firstRow, count, plain);
  }

  load(firstRow: number, count: number, data: Uint8Array): void {
    loadRows(data, firstRow, count, (row, value) => {
      const { offset = -1, ...words } = value;
      this.rows.set(row, Object.values(words));
      this.#offsets.set(row, offset);
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

  pair(row: number, out: Uint32Array): void {
    const key = [...this.rows.keys()][row] ?? "";
    out.set(key.split("/").map(Number));
  }

  internPair(a: number, b: number): number {
    const known = this.rows.get(`${a}/${b}`);
    if (known !== undefined) return known;
    if (this.rows.size >= this.#capacity) {
      throw Object.assign(new Error("full"), { code: "REC_IDS_FULL" });
    }
    this.rows.set(`${a}/${b}`, this.rows.size);
    return this.rows.size - 1;
  }
}

export interface FakeTables extends WindowTables {
  readonly user: FakePaneTable;
  readonly item: FakePaneTable;
  readonly category: FakePaneTable;
  readonly userCategory: FakePaneTable;
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
    pairs: new FakePairs(options.pairs),
    recent: new FakeSequenceTable(options.recentLength),
  };
}

import type {
  PaneCounters,
  PaneTableOptions,
  PaneUpdates,
  PaneValues,
  PaneWindow,
} from "../pane-table.ts";

/** A row as its words say it: every pane in a map, sums taken when they are asked for. */
interface Row {
  /** Whole milliseconds of the newest event; -1 none. */
  newestMs: number;
  offset: number;
  readonly totals: Uint32Array;
  /** Per window: pane index -> counters. */
  readonly panes: Map<number, Uint32Array>[];
}

/** The plain twin of the native pane table: the same rules, no ring and no kept sum. */
export class ReferencePaneTable implements PaneCounters {
  readonly width: number;
  readonly rows: number;
  readonly counters: number;
  readonly windows: readonly PaneWindow[];
  readonly #rows = new Map<number, Row>();

  private constructor(options: PaneTableOptions) {
    this.rows = options.rows;
    this.counters = options.counters;
    this.windows = options.windows;
    this.width = (options.windows.length + 1) * options.counters;
  }

  static create(options: PaneTableOptions): ReferencePaneTable {
    return new ReferencePaneTable(options);
  }

  apply(updates: PaneUpdates, lateOut: Uint32Array): number {
    lateOut.fill(0, 0, this.windows.length);
    let applied = 0;
    for (let i = 0; i < updates.count; i++) {
      const row = this.#row(updates.rows[i]);
      const offset = updates.offsets[i];
      if (offset >= 0 && offset <= row.offset) continue;
      if (offset >= 0) row.offset = offset;
      const update = { counter: updates.counters[i], delta: updates.deltas[i] };
      this.#applyOne(row, { ...update, timeMs: Math.floor(updates.times[i]) }, (window, w) => {
        const pane = Math.floor(updates.times[i] / window.paneMs);
        const closed = (pane + 1) * window.paneMs <= updates.watermarkMs;
        const kept = pane >= Math.floor(row.newestMs / window.paneMs) - window.panes;
        if (closed || !kept) lateOut[w]++;
        return !closed && kept;
      });
      applied++;
    }
    return applied;
  }

  #applyOne(
    row: Row,
    update: { counter: number; delta: number; timeMs: number },
    takes: (window: PaneWindow, w: number) => boolean,
  ): void {
    row.newestMs = Math.max(row.newestMs, update.timeMs);
    row.totals[update.counter] += update.delta;
    for (const [w, window] of this.windows.entries()) {
      this.#forget(row, w);
      if (!takes(window, w)) continue;
      const index = Math.floor(update.timeMs / window.paneMs);
      const pane = row.panes[w].get(index) ?? new Uint32Array(this.counters);
      pane[update.counter] += update.delta;
      row.panes[w].set(index, pane);
    }
  }

  /** A row keeps the newest pane and `panes` before it. */
  #forget(row: Row, w: number): void {
    const { paneMs, panes } = this.windows[w];
    const oldest = Math.floor(row.newestMs / paneMs) - panes;
    for (const index of row.panes[w].keys()) if (index < oldest) row.panes[w].delete(index);
  }

  read(rows: Int32Array | Uint32Array, count: number, asOfMs: number, into: PaneValues): void {
    const { out, offsets } = into;
    out.fill(0, 0, count * this.width);
    for (let i = 0; i < count; i++) {
      const row = this.#rows.get(rows[i]);
      if (offsets !== null) offsets[i] = row?.offset ?? -1;
      if (row !== undefined) this.#readRow(row, asOfMs, out.subarray(i * this.width));
    }
  }

  #readRow(row: Row, asOfMs: number, out: Uint32Array): void {
    for (const [w, { paneMs, panes }] of this.windows.entries()) {
      const newest = Math.floor(asOfMs / paneMs);
      for (const [index, values] of row.panes[w]) {
        if (index > newest || index <= newest - panes) continue;
        for (let c = 0; c < this.counters; c++) out[w * this.counters + c] += values[c];
      }
    }
    out.set(row.totals, this.windows.length * this.counters);
  }

  clear(): void {
    this.#rows.clear();
  }

  #row(index: number): Row {
    const known = this.#rows.get(index);
    if (known !== undefined) return known;
    const panes = this.windows.map(() => new Map<number, Uint32Array>());
    const row = { newestMs: -1, offset: -1, totals: new Uint32Array(this.counters), panes };
    this.#rows.set(index, row);
    return row;
  }
}

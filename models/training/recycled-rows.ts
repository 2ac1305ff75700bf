import { noRow } from "../core/bytes.ts";
import type { RowIndex } from "../layers/row-index.ts";

/** Arrays of `RecycledRows.save`. */
export const recycledColumns = 3;

/** Rows that are looked at, at most, for one that its id has not needed for long. */
const lookedAt = 64;

/**
 * Which id has which row of a table that has fewer rows than there are ids. An id takes a row when
 * it is first learned and gives it back when it expires. Where none is free, the one of the next 64
 * whose id occurred least lately changes hands (the hand of the CLOCK page replacement, Corbato
 * 1968); an id that occurred within the hour keeps its row, and the one that asks waits.
 */
export class RecycledRows {
  readonly #index: RowIndex;
  /** By row that was ever handed out. */
  #owners = new Uint32Array(1024).fill(noRow);
  #free: number[] = [];
  /** Rows that were ever handed out. */
  #handedOut = 0;
  /** The row that is looked at next. */
  #hand = 0;
  readonly #one = new Uint32Array(1);

  constructor(index: RowIndex) {
    this.#index = index;
  }

  /** The id's row; `noRow` where it has none. */
  rowOf(id: number): number {
    this.#one[0] = id;
    this.#index.rowsOf(this.#one, 1, this.#one);
    return this.#one[0]!;
  }

  /**
   * A row for an id that has none, and the id that had it until now (`noRow`: nobody); null where
   * all are in use. `lastHourOf` says when an id occurred last.
   */
  take(
    id: number,
    hour: number,
    lastHourOf: (id: number) => number,
  ): { readonly row: number; readonly from: number } | null {
    const row = this.#free.pop() ?? this.#unused() ?? this.#oldest(hour, lastHourOf);
    if (row === undefined) return null;
    const from = this.#owners[row]!;
    if (from !== noRow) this.#index.set(from, noRow);
    this.#owners[row] = id;
    this.#index.set(id, row);
    return { row, from };
  }

  /** Takes the id's row away; `noRow` where it has none. */
  giveBack(id: number): number {
    const row = this.rowOf(id);
    if (row === noRow) return noRow;
    this.#owners[row] = noRow;
    this.#index.set(id, noRow);
    this.#free.push(row);
    return row;
  }

  #unused(): number | undefined {
    const row = this.#handedOut;
    if (row >= this.#index.rows) return undefined;
    if (row >= this.#owners.length) {
      const owners = new Uint32Array(2 * this.#owners.length).fill(noRow);
      owners.set(this.#owners);
      this.#owners = owners;
    }
    this.#handedOut = row + 1;
    return row;
  }

  #oldest(hour: number, lastHourOf: (id: number) => number): number | undefined {
    const { rows } = this.#index;
    let found: number | undefined;
    let oldest = hour;
    for (let i = 0; i < Math.min(lookedAt, rows); i++) {
      const row = (this.#hand + i) % rows;
      const lastHour = lastHourOf(this.#owners[row]!);
      if (lastHour >= oldest) continue;
      oldest = lastHour;
      found = row;
    }
    this.#hand = (this.#hand + lookedAt) % rows;
    return found;
  }

  /** All state but the index's. */
  save(): Uint32Array[] {
    const marks = Uint32Array.of(this.#handedOut, this.#hand);
    return [this.#owners.slice(0, this.#handedOut), Uint32Array.from(this.#free), marks];
  }

  /** Takes the bytes of what `save` gave; the index has been restored, or will be. */
  restore(columns: readonly Uint8Array[]): void {
    const [owners, free, marks] = columns.map((column) => new Uint32Array(column.slice().buffer));
    this.#owners = new Uint32Array(Math.max(1024, owners!.length)).fill(noRow);
    this.#owners.set(owners!);
    this.#free = [...free!];
    [this.#handedOut = 0, this.#hand = 0] = marks!;
  }
}

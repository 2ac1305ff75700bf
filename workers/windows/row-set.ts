/** Rows that were ever added, as runs of neighbours: what a checkpoint keeps of a shared table. */
export class RowSet {
  #has = new Uint8Array(1_024);
  /** Above the largest row. */
  #end = 0;

  add(row: number): void {
    if (row >= this.#has.length) this.#grow(row + 1);
    this.#has[row] = 1;
    if (row >= this.#end) this.#end = row + 1;
  }

  #grow(rows: number): void {
    const has = new Uint8Array(Math.max(rows, 2 * this.#has.length));
    has.set(this.#has);
    this.#has = has;
  }

  /** First row and length of each run, two words a run, none longer than `longest`. */
  runs(longest: number): Uint32Array {
    const runs: number[] = [];
    for (let row = 0; row < this.#end; row++) {
      if (this.#has[row] === 0) continue;
      const first = row;
      while (row + 1 < this.#end && row + 1 - first < longest && this.#has[row + 1] === 1) row++;
      runs.push(first, row + 1 - first);
    }
    return Uint32Array.from(runs);
  }

  addRun(first: number, count: number): void {
    for (let row = first; row < first + count; row++) this.add(row);
  }
}

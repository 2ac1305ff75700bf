/** Where the rows of a table are, and how many so far went which way. */
export interface RowUsage {
  /** Rows in memory; of a pane table its full rows. */
  readonly inMemory: number;
  /** The same in the file. */
  readonly filed: number;
  /**
   * Given up: no file, a full one, or a damaged record. A row of a pane table keeps its totals, any
   * other begins anew.
   */
  readonly evicted: number;
  readonly movedOut: number;
  readonly broughtBack: number;
  /** Their windows had passed before they came back: dropped. Full rows of pane tables only. */
  readonly expired: number;
  /** Were asked for while only the disk had them, and answered as if never written. */
  readonly unready: number;
}

/** What `read` of a table writes, by name. */
export function rowUsage(read: (out: Float64Array) => void): RowUsage {
  const out = new Float64Array(7);
  read(out);
  const [inMemory, filed, evicted, movedOut, broughtBack, expired, unready] = out;
  return { inMemory, filed, evicted, movedOut, broughtBack, expired, unready };
}

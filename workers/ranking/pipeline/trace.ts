/** A candidate that a filter removed. */
export interface Removal {
  readonly row: number;
  /** `filter:reason`. */
  readonly reason: string;
}

export interface StageTrace {
  readonly stage: string;
  /** Candidates left after the stage; the slate's length after a selector. */
  readonly kept: number;
  readonly microseconds: number;
  /** Found by source, or removed by `filter:reason`. */
  readonly counts: Readonly<Record<string, number>>;
}

/** What each stage kept and dropped. Made only for a request that asks for it. */
export class Trace {
  readonly stages: StageTrace[] = [];
  readonly removals: Removal[] = [];

  stage(entry: StageTrace): void {
    this.stages.push(entry);
  }

  removal(row: number, reason: string): void {
    this.removals.push({ row, reason });
  }
}

/** Slates of a served partition that were read one after another, all after the same decisions. */
export interface LateRun {
  readonly partition: number;
  /** Offsets of the first slate, and of the one after the last. */
  readonly from: number;
  readonly to: number;
  /** What names no slate and was received before this had been decided. */
  readonly decidedMs: number;
}

/** What had been decided when a slate was read; 0 where it was read in time. */
export function decidedMsOf(
  runs: readonly LateRun[],
  slate: { readonly partition: number; readonly offset: number },
): number {
  const of = ({ partition, from, to }: LateRun) =>
    partition === slate.partition && slate.offset >= from && slate.offset < to;
  return runs.find(of)?.decidedMs ?? 0;
}

/** Late slates come together, when a disk that hung goes on: a few runs, or clocks are wrong. */
const runsMax = 1_024;

/**
 * Which slates were read too late, and for what: a replay reads slates before events, and would
 * give them what was decided without them. Bounded: what a replay makes of slates whose run gave
 * way is as if they had been read in time.
 */
export class LateSlates {
  #runs: LateRun[] = [];

  get size(): number {
    return this.#runs.length;
  }

  /** Notes that a slate was read after what had been received before `decidedMs` was decided. */
  add({ partition, offset, decidedMs }: Omit<LateRun, "from" | "to"> & { offset: number }): void {
    const at = this.#runs.findLastIndex((run) => run.partition === partition);
    const last = this.#runs[at];
    // Slates in between left later than that: nothing of what was decided could be theirs.
    if (last !== undefined && last.decidedMs === decidedMs) {
      this.#runs[at] = { ...last, to: offset + 1 };
      return;
    }
    this.#runs.push({ partition, from: offset, to: offset + 1, decidedMs });
    if (this.#runs.length > runsMax) this.#runs.shift();
  }

  /** Forgets slates before these offsets, by served partition. */
  dropBefore(offsets: readonly number[]): void {
    if (this.#runs.length === 0) return;
    this.#runs = this.#runs.filter(({ partition, to }) => to > (offsets[partition] ?? 0));
  }

  /** What had been decided when a slate was read; 0 where it was read in time. */
  decidedMsOf(slate: { readonly partition: number; readonly offset: number }): number {
    return decidedMsOf(this.#runs, slate);
  }

  save(): readonly LateRun[] {
    return this.#runs.slice();
  }

  restore(runs: readonly LateRun[]): void {
    this.#runs = runs.slice();
  }
}

import type { Clock } from "../../models/core/clock.ts";

/** Between two lines of a kind. */
const everyMs = 60_000;

/** Passes on one text a minute of each kind, with how many of the kind it left out before. */
export class RareWarnings {
  readonly #clock: Clock;
  readonly #warn: (text: string) => void;
  readonly #kinds = new Map<string, { saidMs: number; leftOut: number }>();

  constructor(clock: Clock, warn: (text: string) => void) {
    this.#clock = clock;
    this.#warn = warn;
  }

  /** Kinds are few and known: each is remembered. */
  warn(kind: string, text: string): void {
    const timeMs = this.#clock.nowMs();
    const known = this.#kinds.get(kind);
    if (known !== undefined && timeMs - known.saidMs < everyMs) {
      known.leftOut++;
      return;
    }
    const leftOut = known?.leftOut ?? 0;
    this.#kinds.set(kind, { saidMs: timeMs, leftOut: 0 });
    this.#warn(leftOut === 0 ? text : `${text} (and ${leftOut} like it before)`);
  }
}

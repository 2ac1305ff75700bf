import type { Role } from "./stages.ts";

/**
 * How much of a request's time may have passed when the executor stops waiting for the
 * asynchronous components of a stage of this role.
 */
const shareBy: Readonly<Record<Role, number>> = {
  queryHydrator: 0.2,
  source: 0.5,
  hydrator: 0.65,
  filter: 0.7,
  scorer: 0.9,
  selector: 0.93,
  sideEffect: 0.97,
};

/** From here on only what is essential still starts. */
const essentialOnlyShare = 0.9;

/** The one deadline of a request. */
export class Deadline {
  startMs = 0;
  atMs = Number.POSITIVE_INFINITY;

  reset(startMs: number, atMs: number): void {
    this.startMs = startMs;
    this.atMs = atMs;
  }

  /** When waiting for a stage of this role ends, epoch milliseconds. */
  cutoffMs(role: Role): number {
    return this.#share(shareBy[role]);
  }

  essentialOnly(nowMs: number): boolean {
    return nowMs >= this.#share(essentialOnlyShare);
  }

  #share(share: number): number {
    return this.startMs + Math.max(0, this.atMs - this.startMs) * share;
  }
}

/** Real time or none; a simulation, whose components never wait for the world, passes null. */
export interface Timer {
  /** Calls once after `ms` unless the returned function was called before. */
  after(ms: number, call: () => void): () => void;
}

export const systemTimer: Timer = {
  after(ms, call) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

/** Resolves when all have settled, or when time is up. Never rejects. */
export function settledBy(
  promises: readonly Promise<unknown>[],
  waitMs: number,
  timer: Timer | null,
): Promise<void> {
  const all = Promise.allSettled(promises).then(() => undefined);
  if (timer === null || !Number.isFinite(waitMs)) return all;
  return new Promise((resolve) => {
    const cancel = timer.after(Math.max(0, waitMs), resolve);
    void all.then(() => {
      cancel();
      resolve();
    });
  });
}

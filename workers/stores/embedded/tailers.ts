import type { Control } from "./control.ts";

/** The native wait is renewed this often: a thread that ended leaves none behind for long. */
const renewMs = 500;

export interface TailPoint {
  readonly slot: number;
  /** Satisfied once the partition's end is beyond it. */
  readonly offset: number;
}

interface Waiter {
  readonly points: readonly TailPoint[];
  readonly resolve: () => void;
}

/**
 * Everything in this thread that waits for more records. However many wait, there is one native
 * wait a partition: many pending at a thread's exit stall every other thread's notify, and one
 * alone does not keep the thread alive, for which each waiter's timer does.
 */
export class Tailers {
  readonly #control: Control;
  readonly #waiters = new Map<number, Set<Waiter>>();
  readonly #armed = new Set<number>();
  #closed = false;

  constructor(control: Control) {
    this.#control = control;
  }

  /** Resolves once any of `points` is passed, after `timeoutMs`, or at `close`. */
  wait(points: readonly TailPoint[], timeoutMs: number): Promise<void> {
    if (this.#closed || this.#passed(points)) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => waiter.resolve(), timeoutMs);
      const waiter: Waiter = {
        points,
        resolve: () => {
          clearTimeout(timer);
          for (const { slot } of points) this.#waiters.get(slot)?.delete(waiter);
          resolve();
        },
      };
      for (const { slot } of points) this.#add(slot, waiter);
      // Between the first look and the arming something may have come.
      if (this.#passed(points)) waiter.resolve();
    });
  }

  close(): void {
    this.#closed = true;
    const all = new Set([...this.#waiters.values()].flatMap((waiters) => [...waiters]));
    for (const waiter of all) waiter.resolve();
    for (const slot of this.#armed) this.#control.wake(slot);
  }

  #passed(points: readonly TailPoint[]): boolean {
    return points.some(({ slot, offset }) => this.#control.endOffset(slot) > offset);
  }

  #add(slot: number, waiter: Waiter): void {
    const waiters = this.#waiters.get(slot) ?? new Set();
    this.#waiters.set(slot, waiters.add(waiter));
    if (!this.#armed.has(slot)) void this.#watch(slot);
  }

  async #watch(slot: number): Promise<void> {
    this.#armed.add(slot);
    const waiters = this.#waiters.get(slot);
    while (!this.#closed && waiters !== undefined && waiters.size > 0) {
      const seen = this.#control.seen(slot);
      this.#wakePassed(waiters);
      if (waiters.size > 0) await this.#control.changed(slot, seen, renewMs);
    }
    this.#armed.delete(slot);
  }

  #wakePassed(waiters: ReadonlySet<Waiter>): void {
    for (const waiter of [...waiters]) {
      if (this.#passed(waiter.points)) waiter.resolve();
    }
  }
}

import { RecError } from "../../models/core/errors.ts";

export type Action = (nowMs: number) => void | Promise<void>;

interface Entry {
  readonly timeMs: number;
  /** Breaks ties: what was scheduled first runs first. */
  readonly order: number;
  readonly run: Action;
}

/** What is to happen, by time: a binary heap with a bound. */
export class EventQueue {
  readonly #heap: Entry[] = [];
  readonly #capacity: number;
  #order = 0;

  constructor(capacity = 2_000_000) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Time of the next action, Infinity when there is none. */
  nextMs(): number {
    return this.#heap[0]?.timeMs ?? Number.POSITIVE_INFINITY;
  }

  /** Throws REC_SIMULATOR_QUEUE_FULL when `capacity` actions wait. */
  at(timeMs: number, run: Action): void {
    if (this.#heap.length >= this.#capacity) {
      throw new RecError("REC_SIMULATOR_QUEUE_FULL", `${this.#capacity} actions wait`);
    }
    this.#heap.push({ timeMs, order: this.#order++, run });
    this.#up(this.#heap.length - 1);
  }

  take(): Entry | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    this.#heap[0] = last;
    this.#down();
    return first;
  }

  #before(a: number, b: number): boolean {
    const x = this.#heap[a]!;
    const y = this.#heap[b]!;
    return x.timeMs === y.timeMs ? x.order < y.order : x.timeMs < y.timeMs;
  }

  #swap(a: number, b: number): void {
    [this.#heap[a], this.#heap[b]] = [this.#heap[b]!, this.#heap[a]!];
  }

  #up(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #down(): void {
    let at = 0;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#heap.length && this.#before(child, least)) least = child;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }
}

import type { FeedContext } from "./feed-context.ts";

/**
 * Contexts of the requests that one thread works on at a time. Fixed in number: with each goes a
 * reader number for pins. A request that finds none waits its turn.
 */
export class ContextPool {
  readonly #make: (reader: number) => FeedContext;
  readonly #free: FeedContext[];
  readonly #waiting: ((context: FeedContext) => void)[] = [];

  constructor(readers: readonly number[], make: (reader: number) => FeedContext) {
    this.#make = make;
    this.#free = readers.map(make);
  }

  /** At once where one is free. */
  acquire(): FeedContext | Promise<FeedContext> {
    const free = this.#free.pop();
    return free ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** A context that something late may still write to is left to it; a new one takes its place. */
  release(context: FeedContext): void {
    const next = context.pending === 0 ? context : this.#make(context.reader);
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#free.push(next);
    else waiting(next);
  }
}

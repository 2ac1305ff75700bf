import { fullGC } from "bun:jsc";

const everyMs = 15_000;
const garbageBytesMax = 4 << 20;

/** Bytes of this thread's heap, with those of its typed arrays; reading them takes 12 us. */
const heapBytes = (): number => process.memoryUsage().heapUsed;

/**
 * Keeps a thread's garbage small. The engine lets a heap double before it collects what is old, and
 * the bytes of typed arrays count: beside tables of 128 MB as much garbage may pile up, for hours.
 * So a heap that has grown by more than some megabytes since it was smallest is collected.
 */
export class HeapKeeper {
  #leastBytes = heapBytes();

  /** Collects where there may be much garbage: a pause of 2 to 10 ms. True where it did. */
  look(): boolean {
    const bytes = heapBytes();
    this.#leastBytes = Math.min(this.#leastBytes, bytes);
    if (bytes - this.#leastBytes <= garbageBytesMax) return false;
    fullGC();
    this.#leastBytes = heapBytes();
    return true;
  }
}

/**
 * Looks after this thread's heap now and then, and tells its bytes, until the thread ends or what
 * is returned is called.
 */
export function keepHeap(tell: (bytes: number) => void): () => void {
  const keeper = new HeapKeeper();
  const timer = setInterval(() => {
    keeper.look();
    tell(heapBytes());
  }, everyMs);
  // A thread that has nothing else to do may end.
  timer.unref();
  return () => clearInterval(timer);
}

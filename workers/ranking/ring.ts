import { assert } from "../../models/core/assert.ts";

/**
 * A queue of byte records in shared memory: one writing thread, one reading thread, no locks.
 *
 * Words 0 .. 15 of the buffer are control: 0 = bytes written so far, 1 = bytes read so far (both
 * modulo 2^32), 2 = wake counter of the reader. Records follow, padded to 16 bytes so that a
 * header never wraps: u32 payload bytes, u32 kind, u32 sequence, u32 zero, payload (may wrap).
 */
const controlBytes = 64;
const headerBytes = 16;
const at = { written: 0, read: 1, wake: 2 } as const;

export interface RingRecord {
  readonly kind: number;
  readonly sequence: number;
  /** A copy of the reader's own. */
  readonly bytes: Uint8Array;
}

function padded(bytes: number): number {
  return (bytes + headerBytes - 1) & -headerBytes;
}

export class Ring {
  readonly buffer: SharedArrayBuffer;
  readonly #control: Int32Array;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #capacity: number;

  /** `bytes`: capacity of a new ring, a power of two. */
  static create(bytes: number): Ring {
    assert(bytes >= 64 && Number.isInteger(Math.log2(bytes)), "a ring's size is a power of two");
    return new Ring(new SharedArrayBuffer(controlBytes + bytes));
  }

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#control = new Int32Array(buffer, 0, controlBytes / 4);
    this.#words = new Uint32Array(buffer, controlBytes);
    this.#bytes = new Uint8Array(buffer, controlBytes);
    this.#capacity = this.#bytes.length;
  }

  /** Writer's side. False where there is no room; nothing is written then. */
  write(kind: number, sequence: number, payload: Uint8Array): boolean {
    const written = Atomics.load(this.#control, at.written);
    const used = (written - Atomics.load(this.#control, at.read)) >>> 0;
    const size = headerBytes + padded(payload.length);
    if (size > this.#capacity - used) return false;
    const from = written & (this.#capacity - 1);
    const word = from >>> 2;
    this.#words[word] = payload.length;
    this.#words[word + 1] = kind;
    this.#words[word + 2] = sequence;
    this.#copyIn(payload, (from + headerBytes) & (this.#capacity - 1));
    // Publishes: the reader looks at a record only after it has seen this word.
    Atomics.store(this.#control, at.written, (written + size) | 0);
    return true;
  }

  /** Reader's side: the oldest record; null where there is none. */
  read(): RingRecord | null {
    const read = Atomics.load(this.#control, at.read);
    if (read === Atomics.load(this.#control, at.written)) return null;
    const from = read & (this.#capacity - 1);
    const word = from >>> 2;
    const length = this.#words[word];
    const kind = this.#words[word + 1];
    const sequence = this.#words[word + 2];
    const bytes = this.#copyOut(length, (from + headerBytes) & (this.#capacity - 1));
    // Frees: the writer goes over the record only after it has seen this word.
    Atomics.store(this.#control, at.read, (read + headerBytes + padded(length)) | 0);
    return { kind, sequence, bytes };
  }

  get empty(): boolean {
    return Atomics.load(this.#control, at.read) === Atomics.load(this.#control, at.written);
  }

  /** Writer's side: wakes the reader. Once for any number of records. */
  wake(): void {
    Atomics.add(this.#control, at.wake, 1);
    Atomics.notify(this.#control, at.wake);
  }

  /**
   * Reader's side: the wake counter. Take it, read until the ring is empty, then wait for it to
   * change: a record written in between has changed it already.
   */
  wakeCount(): number {
    return Atomics.load(this.#control, at.wake);
  }

  /** Resolves once the counter is no longer `seen`. */
  waitForWake(seen: number): Promise<unknown> {
    return waitForChange(this.#control, at.wake, seen);
  }

  #copyIn(payload: Uint8Array, from: number): void {
    const first = Math.min(payload.length, this.#capacity - from);
    if (first === payload.length) this.#bytes.set(payload, from);
    else {
      this.#bytes.set(payload.subarray(0, first), from);
      this.#bytes.set(payload.subarray(first), 0);
    }
  }

  #copyOut(length: number, from: number): Uint8Array {
    const out = new Uint8Array(length);
    const first = Math.min(length, this.#capacity - from);
    out.set(this.#bytes.subarray(from, from + first), 0);
    if (first < length) out.set(this.#bytes.subarray(0, length - first), first);
    return out;
  }
}

/** Resolves once word `index` is no longer `seen`. It does not keep the thread alive. */
export function waitForChange(words: Int32Array, index: number, seen: number): Promise<unknown> {
  const waiting = Atomics.waitAsync(words, index, seen);
  return waiting.async ? waiting.value : Promise.resolve();
}

import { RecError } from "../../../models/core/errors.ts";
import { groupBytes } from "./group.ts";

export interface Append {
  readonly records: readonly Uint8Array[];
  readonly recordBytes: number;
  readonly frame: Uint8Array | null;
  readonly durable: boolean;
  readonly resolve: (firstOffset: number) => void;
  readonly reject: (error: unknown) => void;
}

/** Size of one group that holds all of `appends`. */
export function sizeOf(appends: readonly Append[]): number {
  let count = 0;
  let recordBytes = 0;
  let frameBytes = 0;
  for (const append of appends) {
    count += append.records.length;
    recordBytes += append.recordBytes;
    // Only the newest frame is stored.
    frameBytes = Math.max(frameBytes, append.frame?.length ?? 0);
  }
  return groupBytes(count, recordBytes, frameBytes);
}

/** Appends that wait for their turn, at most `bytesMax` of them. */
export class AppendQueue {
  readonly #bytesMax: number;
  readonly #appendBytesMax: number;
  #appends: Append[] = [];
  #bytes = 0;
  #durable = 0;

  constructor(options: { bytesMax: number; appendBytesMax: number }) {
    this.#bytesMax = options.bytesMax;
    this.#appendBytesMax = options.appendBytesMax;
  }

  get length(): number {
    return this.#appends.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether someone waits for the disk. */
  get urgent(): boolean {
    return this.#durable > 0;
  }

  /** Throws REC_LOG_FULL when too much is queued, REC_LOG_TOO_LARGE when it can never be taken. */
  push(append: Append): void {
    const bytes = sizeOf([append]);
    if (bytes > this.#appendBytesMax) {
      const message = `one append of ${bytes} bytes; at most ${this.#appendBytesMax}`;
      throw new RecError("REC_LOG_TOO_LARGE", message, { fix: "append it in parts" });
    }
    if (this.#bytes + bytes > this.#bytesMax && this.#appends.length > 0) {
      const message = `${this.#bytes} bytes wait for the disk, at most ${this.#bytesMax} may`;
      throw new RecError("REC_LOG_FULL", message, { fix: "try again when the disk has caught up" });
    }
    this.#appends.push(append);
    this.#bytes += bytes;
    if (append.durable) this.#durable++;
  }

  /** The oldest appends, together at most `bytesMax` (one at least). */
  take(bytesMax: number): Append[] {
    let bytes = 0;
    let count = 0;
    for (const append of this.#appends) {
      const size = sizeOf([append]);
      if (count > 0 && bytes + size > bytesMax) break;
      bytes += size;
      count++;
      if (append.durable) this.#durable--;
    }
    const taken = this.#appends.slice(0, count);
    this.#appends = this.#appends.slice(count);
    this.#bytes -= bytes;
    return taken;
  }
}

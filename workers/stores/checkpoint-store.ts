import { assert } from "../../models/core/assert.ts";
import { RecError } from "../../models/core/errors.ts";
import type { LogPoint } from "./event-log.ts";

/**
 * Bytes that are made while they are written, in order: never all of them in memory at once. A
 * slice is good until the next one is asked for.
 */
export interface SlicedBytes {
  /** Null: as many as come. */
  readonly byteLength: number | null;
  slices(): Iterable<Uint8Array>;
}

/** A named part of a checkpoint. Nobody changes the bytes until it is saved. */
export interface CheckpointSection {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface SlicedSection {
  readonly name: string;
  readonly bytes: SlicedBytes;
}

/** A good checkpoint, open for reading. */
export interface SavedCheckpoint {
  /** Bytes of a section; throws where there is none of that name. */
  byteLength(name: string): number;
  /** Fills `out` with a section's bytes from `from`; throws where there are fewer. */
  readInto(name: string, out: Uint8Array, from: number): void;
  close(): void;
}

/**
 * Where a role keeps a state now and then, so that a restart replays little. All sections are kept
 * or none; a checkpoint that cannot be read counts as absent, and the previous good one is loaded.
 */
export interface CheckpointStore {
  /**
   * Resolves once the checkpoint would survive a power loss. One save at a time. A start from it
   * reads the log from the points `needed`. It counts only once `settled` has resolved, which is
   * called when all sections are written: what they stand on is to be durable by then.
   */
  save(
    sections: readonly (CheckpointSection | SlicedSection)[],
    needed: readonly LogPoint[],
    settled?: () => Promise<void>,
  ): Promise<void>;
  /** The newest good checkpoint by section name, the caller's own; null where there is none. */
  load(): Promise<ReadonlyMap<string, Uint8Array> | null>;
  /** The same, to be read section by section, where it is too large to be held whole. */
  open(): Promise<SavedCheckpoint | null>;
  /**
   * What a start from the newest or from the one before would read: nothing before it. Empty while
   * there are no two.
   */
  needed(): LogPoint[];
}

export function sectionOf(sections: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const found = sections.get(name);
  if (found === undefined) {
    throw new RecError("REC_CHECKPOINT_SECTION", `the checkpoint has no section ${name}`);
  }
  return found;
}

/** A whole section of an open checkpoint, the caller's own. */
export function readSection(saved: SavedCheckpoint, name: string): Uint8Array {
  const bytes = new Uint8Array(saved.byteLength(name));
  saved.readInto(name, bytes, 0);
  return bytes;
}

const rowsAtOnce = 1_024;

/** Rows that differ in length: gathered in pieces, as most are far from the longest. */
export function packedBytes(
  table: {
    readonly rowBytes: number;
    save(firstRow: number, count: number, out: Uint8Array): number;
  },
  rows: number,
): Uint8Array {
  const scratch = new Uint8Array(Math.min(rows, rowsAtOnce) * table.rowBytes);
  const pieces: Uint8Array[] = [];
  for (let first = 0; first < rows; first += rowsAtOnce) {
    const used = table.save(first, Math.min(rowsAtOnce, rows - first), scratch);
    pieces.push(scratch.slice(0, used));
  }
  return Buffer.concat(pieces);
}

/** All of a section, the caller's own. */
export function wholeOf(bytes: Uint8Array | SlicedBytes): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes.slice();
  const slices: Uint8Array[] = [];
  for (const slice of bytes.slices()) slices.push(slice.slice());
  return new Uint8Array(Buffer.concat(slices));
}

/** A checkpoint of sections that are in memory. */
export function inMemory(sections: ReadonlyMap<string, Uint8Array>): SavedCheckpoint {
  return {
    byteLength: (name) => sectionOf(sections, name).length,
    readInto(name, out, from) {
      const bytes = sectionOf(sections, name);
      assert(from + out.length <= bytes.length, `${name} has the bytes that are asked for`);
      out.set(bytes.subarray(from, from + out.length));
    },
    close: () => {},
  };
}

/** Keeps the newest checkpoint in memory: for simulation and tests. */
export class MemoryCheckpointStore implements CheckpointStore {
  #sections: ReadonlyMap<string, Uint8Array> | null = null;
  /** Newest first. */
  #needed: (readonly LogPoint[])[] = [];
  saves = 0;

  async save(
    sections: readonly (CheckpointSection | SlicedSection)[],
    needed: readonly LogPoint[],
    settled?: () => Promise<void>,
  ): Promise<void> {
    const kept = new Map(sections.map(({ name, bytes }) => [name, wholeOf(bytes)]));
    await settled?.();
    this.#sections = kept;
    this.#needed = [needed, ...this.#needed].slice(0, 2);
    this.saves++;
  }

  needed(): LogPoint[] {
    return this.#needed.length < 2 ? [] : [...(this.#needed[1] ?? [])];
  }

  async open(): Promise<SavedCheckpoint | null> {
    const sections = await this.load();
    return sections === null ? null : inMemory(sections);
  }

  async load(): Promise<ReadonlyMap<string, Uint8Array> | null> {
    if (this.#sections === null) return null;
    return new Map([...this.#sections].map(([name, bytes]) => [name, bytes.slice()]));
  }
}

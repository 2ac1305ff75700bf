import { assert } from "../../models/core/assert.ts";
import { bytesOf, type Id128 } from "../../models/core/bytes.ts";
import { limits } from "../../models/limits.ts";

/**
 * The ids of the latest events, so that a second delivery changes nothing. Open addressing with
 * linear probing over 128-bit keys in a few generations of typed arrays; when the newest is full,
 * the oldest is emptied and becomes the newest.
 *
 * Horizon: at least `idsMax x (generations - 1) / generations` latest ids are known, at most
 * `idsMax`; for the defaults 3 to 4 million, 17 to 134 MB.
 */

const generations = 4;
const wordsPerId = 4;
/** All ones: an id that was taken back. No id hashes to it but by a 2^-128 chance. */
const removed = 0xffff_ffff;

/** Index of `id`, or of the empty slot that ends its probe as -1 - slot. */
function locate(table: Uint32Array, mask: number, id: Id128): number {
  let slot = (id[0] ^ id[2]) & mask;
  for (;;) {
    const at = slot * wordsPerId;
    const last = table[at + 3]!;
    if (last === 0) return -1 - slot;
    if (last === id[3] && table[at] === id[0] && table[at + 1] === id[1]) {
      if (table[at + 2] === id[2]) return slot;
    }
    slot = (slot + 1) & mask;
  }
}

/** Smallest power of two that keeps the load at or under a half. */
function slotsFor(ids: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(ids, 8) * 2));
}

/** Generations as a checkpoint keeps them. */
export interface SavedIds {
  /** Ids of the newest generation, 16 bytes each. */
  readonly newest: Uint8Array;
  /** Tables of the others, newest first: full, so as large as their ids take. */
  readonly older: readonly Uint8Array[];
}

/** Copies the ids of a table without its empty slots and those that were taken back; the copies. */
function copyIds(table: Uint32Array, ids: Uint32Array): Uint32Array {
  let to = 0;
  for (let at = 0; at < table.length; at += wordsPerId) {
    const last = table[at + 3]!;
    if (last === 0 || last === removed) continue;
    for (let word = 0; word < wordsPerId; word++) ids[to++] = table[at + word]!;
  }
  return ids.subarray(0, to);
}

export class Deduplicator {
  /** Newest first. */
  readonly #tables: Uint32Array[] = [];
  readonly #idsPerTable: number;
  readonly #mask: number;
  /** For `save`, which needs it again and again: memory that is as large as the most it held. */
  readonly #saved: Uint32Array;
  /** What `save` gave is in use. */
  #lent = false;
  #inNewest = 0;
  #rotations = 0;
  readonly #nowMs: () => number;
  /** When each table was begun; those that were restored: by this process. Newest first. */
  readonly #beganMs: number[];

  constructor(idsMax: number = limits.dedupIdsMax, nowMs: () => number = () => 0) {
    this.#nowMs = nowMs;
    this.#beganMs = [nowMs()];
    this.#idsPerTable = Math.max(1, Math.floor(idsMax / generations));
    this.#mask = slotsFor(this.#idsPerTable) - 1;
    this.#saved = new Uint32Array(this.#idsPerTable * wordsPerId);
    this.#tables.push(this.#newTable());
  }

  /** How often the oldest generation was given up. */
  get rotations(): number {
    return this.#rotations;
  }

  /**
   * How many of the latest ids are known, and for how long all of them have been: a second delivery
   * after that may count. What a start restored is as old as the process, at least.
   */
  get horizon(): { readonly ids: number; readonly ms: number } {
    const ids = this.#inNewest + this.#idsPerTable * (this.#tables.length - 1);
    return { ids, ms: this.#nowMs() - this.#beganMs.at(-1)! };
  }

  has(id: Id128): boolean {
    return this.#tables.some((table) => locate(table, this.#mask, id) >= 0);
  }

  /** True where the id is new; it is known from now on. The last word must not be zero. */
  remember(id: Id128): boolean {
    for (let i = 1; i < this.#tables.length; i++) {
      if (locate(this.#tables[i]!, this.#mask, id) >= 0) return false;
    }
    const found = locate(this.#tables[0]!, this.#mask, id);
    if (found >= 0) return false;
    this.#tables[0]!.set(id, (-1 - found) * wordsPerId);
    if (++this.#inNewest === this.#idsPerTable) this.#rotate();
    return true;
  }

  /** Takes an id back whose event was not kept after all. */
  forget(id: Id128): void {
    for (const table of this.#tables) {
      const slot = locate(table, this.#mask, id);
      if (slot >= 0) table.fill(removed, slot * wordsPerId, (slot + 1) * wordsPerId);
    }
  }

  /**
   * Good until `release`, which must follow before the next one. The older generations are the
   * tables themselves: nothing is added to them any more, and an id that is taken back from one
   * while it is written may be in what was written or not.
   */
  save(): SavedIds {
    assert(!this.#lent, "ids are saved once at a time");
    this.#lent = true;
    const [newest, ...older] = this.#tables;
    return { newest: bytesOf(copyIds(newest!, this.#saved)), older: older.map(bytesOf) };
  }

  /** What `save` gave has been written. */
  release(): void {
    this.#lent = false;
  }

  /**
   * Takes saved generations in, before anything else; the older ones become its own. False, with
   * nothing changed, where they were saved for another `idsMax`.
   */
  restore({ newest, older }: SavedIds): boolean {
    const bytesPerTable = 4 * wordsPerId * (this.#mask + 1);
    const fits = older.every((table) => table.byteLength === bytesPerTable);
    const wordsMax = wordsPerId * this.#idsPerTable;
    if (!fits || older.length >= generations || newest.byteLength >= 4 * wordsMax) return false;
    this.#tables.push(...older.map((table) => new Uint32Array(table.buffer)));
    for (const _ of older) this.#beganMs.push(this.#nowMs());
    const words = new Uint32Array(newest.buffer, newest.byteOffset, newest.byteLength / 4);
    for (let at = 0; at < words.length; at += wordsPerId) {
      this.remember([words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!]);
    }
    return true;
  }

  #newTable(): Uint32Array {
    return new Uint32Array((this.#mask + 1) * wordsPerId);
  }

  #rotate(): void {
    this.#inNewest = 0;
    const oldest = this.#tables.length < generations ? undefined : this.#tables.pop();
    if (oldest !== undefined) {
      this.#rotations++;
      this.#beganMs.pop();
    }
    this.#beganMs.unshift(this.#nowMs());
    // Emptied and used again, which keeps memory level; not while a checkpoint may be writing it.
    const isFree = oldest !== undefined && !this.#lent;
    this.#tables.unshift(isFree ? oldest.fill(0) : this.#newTable());
  }
}

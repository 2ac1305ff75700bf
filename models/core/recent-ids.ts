import { assert } from "./assert.ts";
import { bytesOf } from "./bytes.ts";
import { RecError } from "./errors.ts";

const smallest = 1_024;
/** Linear probing stays short up to this load. */
const loadMax = 0.6;

/** One open-addressing table of 128-bit ids: four words a slot, so that a probe is one line. */
class Generation {
  words: Uint32Array = new Uint32Array(smallest * 4);
  size = 0;

  clear(): void {
    // A generation is as large as the traffic made it; keeping it saves growing again.
    this.words.fill(0);
    this.size = 0;
  }

  /** Where the probes of an id begin. */
  home(a: number, b: number, c: number): number {
    return ((Math.imul(a ^ (c >>> 15), 0x9e3779b1) ^ b) << 2) & (this.words.length - 4);
  }

  /** Slot of the id, or of the empty place where it belongs (its four words are zero). */
  find(a: number, b: number, c: number, d: number): number {
    const words = this.words;
    const last = words.length - 4;
    let at = this.home(a, b, c);
    while (words[at] !== a || words[at + 1] !== b || words[at + 2] !== c || words[at + 3] !== d) {
      if ((words[at] | words[at + 1] | words[at + 2] | words[at + 3]) === 0) return at;
      at = (at + 4) & last;
    }
    return at;
  }

  has(a: number, b: number, c: number, d: number): boolean {
    const at = this.find(a, b, c, d);
    return (this.words[at] | this.words[at + 1] | this.words[at + 2] | this.words[at + 3]) !== 0;
  }

  add(a: number, b: number, c: number, d: number): void {
    if (this.size + 1 > (this.words.length / 4) * loadMax) this.#grow();
    const at = this.find(a, b, c, d);
    this.words[at] = a;
    this.words[at + 1] = b;
    this.words[at + 2] = c;
    this.words[at + 3] = d;
    this.size++;
  }

  #grow(): void {
    const old = this.words;
    this.words = new Uint32Array(old.length * 2);
    for (let i = 0; i < old.length; i += 4) {
      if ((old[i] | old[i + 1] | old[i + 2] | old[i + 3]) === 0) continue;
      this.words.set(old.subarray(i, i + 4), this.find(old[i], old[i + 1], old[i + 2], old[i + 3]));
    }
  }

  addAll({ words }: Generation): void {
    for (let i = 0; i < words.length; i += 4) {
      if ((words[i] | words[i + 1] | words[i + 2] | words[i + 3]) === 0) continue;
      this.add(words[i], words[i + 1], words[i + 2], words[i + 3]);
    }
  }

  /** A table that was saved; throws REC_IDS_SHAPE where it cannot be one. */
  static of(saved: Uint8Array): Generation {
    const aligned = saved.byteOffset % 4 === 0 ? saved : saved.slice();
    const { buffer, byteOffset, byteLength } = aligned;
    const words = new Uint32Array(buffer, byteOffset, byteLength / 4);
    const generation = new Generation();
    generation.words = words;
    for (let i = 0; i < words.length; i += 4) {
      if ((words[i] | words[i + 1] | words[i + 2] | words[i + 3]) !== 0) generation.size++;
    }
    const slots = words.length / 4;
    const isTable = slots >= smallest && Number.isInteger(Math.log2(slots));
    if (isTable && generation.size <= slots * loadMax) return generation;
    throw new RecError("REC_IDS_SHAPE", `${generation.size} ids in ${slots} places are no table`);
  }
}

/**
 * The event ids seen lately: two generations of `idsMax / 2` ids that take turns. A second
 * delivery is found for certain while fewer than `idsMax / 2` other ids came between, never after
 * `idsMax`. Memory grows with the traffic up to about 60 bytes an id; an id of zero is always new.
 */
export class RecentIds {
  readonly #perGeneration: number;
  #young = new Generation();
  #old = new Generation();
  rotations = 0;
  /** Both tables are being written: they stay as they are. */
  #lent = false;
  /** The ids that came since, to be added to the young ones. */
  #meanwhile = new Generation();
  #touched = 0;

  constructor(idsMax: number) {
    assert(idsMax >= 2, "room for two ids at least");
    this.#perGeneration = Math.floor(idsMax / 2);
  }

  get size(): number {
    return this.#young.size + this.#meanwhile.size + this.#old.size;
  }

  /**
   * Brings the places of an id into the cache. Called for dozens of ids before they are added: the
   * loads do not depend on each other, so the processor waits for all of them at once.
   */
  touch(a: number, b: number, c: number): void {
    const young = this.#young.words[this.#young.home(a, b, c)];
    this.#touched ^= young ^ this.#old.words[this.#old.home(a, b, c)];
  }

  /** True where the id is new; it is then kept. Words are unsigned. */
  add(a: number, b: number, c: number, d: number): boolean {
    if ((a | b | c | d) === 0) return true;
    if (this.#young.has(a, b, c, d)) return false;
    if (this.#old.size > 0 && this.#old.has(a, b, c, d)) return false;
    if (this.#lent && this.#meanwhile.has(a, b, c, d)) return false;
    if (this.#young.size + this.#meanwhile.size >= this.#perGeneration) this.#rotate();
    (this.#lent ? this.#meanwhile : this.#young).add(a, b, c, d);
    return true;
  }

  #rotate(): void {
    const spare = this.#lent ? new Generation() : this.#old;
    if (this.#lent) {
      // Whoever writes them keeps both tables.
      this.#young.words = this.#young.words.slice();
      this.release();
    }
    this.#old = this.#young;
    spare.clear();
    this.#young = spare;
    this.rotations++;
  }

  /**
   * The tables of both generations, for a checkpoint: taken as they are by `restore`, so that
   * millions of ids need not find their places again. Lent until `release`, which must follow
   * before the next one: a copy would be tens of megabytes now and then.
   */
  save(): { young: Uint8Array; old: Uint8Array } {
    assert(!this.#lent, "ids are saved once at a time");
    this.#lent = true;
    return { young: bytesOf(this.#young.words), old: bytesOf(this.#old.words) };
  }

  /** What was saved has been written. */
  release(): void {
    if (!this.#lent) return;
    this.#lent = false;
    this.#young.addAll(this.#meanwhile);
    this.#meanwhile = new Generation();
  }

  /** Makes saved tables its own: nobody else may hold them. Throws REC_IDS_SHAPE, unchanged. */
  restore(saved: { young: Uint8Array; old: Uint8Array }): void {
    const [young, old] = [Generation.of(saved.young), Generation.of(saved.old)];
    this.#young = young;
    this.#old = old;
  }
}

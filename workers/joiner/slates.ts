import { type Id128, noRow } from "../../models/core/bytes.ts";

/** Marks of one served item. */
export const mark = { seen: 1, emitted: 2, prompt: 4 } as const;

export interface SlatesOptions {
  readonly rowsMax: number;
  readonly heads: number;
  readonly eventPartitions: number;
}

/** A slate that was read. */
export interface NewSlate {
  readonly requestId: Id128;
  readonly userRow: number;
  readonly servedMs: number;
  readonly partition: number;
  readonly offset: number;
  readonly items: Uint32Array;
  readonly record: Uint8Array;
  /** Offset of each events partition from which a replay finds all that belongs to the slate. */
  readonly eventsFrom: Float64Array;
}

/** 53 bits of a request id: a Map key that is a number. The whole id is compared afterwards. */
function requestKey(a: number, b: number): number {
  return a * 2 ** 21 + (b >>> 11);
}

/** Slates of one user that are searched for an item, newest first. */
const userSlatesMax = 64;

/** Slates per row of room: a slate has eight items or more, or the slates run out first. */
const rowsPerSlate = 8;

/**
 * The slates that interactions may still belong to, in two rings of columns: one entry a slate,
 * one row a served item (labels so far and marks). A slate is known by a number that only grows;
 * the oldest leaves first. Found by request id, or along the chain of a user's slates.
 */
export class Slates {
  readonly rowsMax: number;
  readonly slatesMax: number;
  /** Numbers of the oldest slate kept, and of the next to come. */
  oldest = 0;
  next = 0;
  rowsUsed = 0;
  readonly labels: Float32Array;
  readonly itemRows: Uint32Array;
  readonly marks: Uint8Array;
  readonly servedMs: Float64Array;
  readonly offsets: Float64Array;
  readonly partitions: Uint16Array;
  readonly counts: Uint16Array;
  readonly userRows: Uint32Array;
  /** 1 once the slate's samples left. */
  readonly emitted: Uint8Array;
  /** The served record while labels may change soon; afterwards it is read from the log. */
  readonly records: (Uint8Array | null)[];
  readonly #heads: number;
  readonly #ids: Uint32Array;
  readonly #rowsFrom: Uint32Array;
  readonly #previousOfUser: Float64Array;
  readonly #eventsFrom: Float64Array;
  readonly #eventPartitions: number;
  readonly #byRequest = new Map<number, number>();
  readonly #newestOfUser = new Map<number, number>();

  constructor(options: SlatesOptions) {
    this.rowsMax = options.rowsMax;
    this.slatesMax = Math.max(16, Math.ceil(options.rowsMax / rowsPerSlate));
    this.#heads = options.heads;
    this.#eventPartitions = options.eventPartitions;
    const slates = this.slatesMax;
    this.labels = new Float32Array(options.rowsMax * options.heads);
    this.itemRows = new Uint32Array(options.rowsMax);
    this.marks = new Uint8Array(options.rowsMax);
    this.servedMs = new Float64Array(slates);
    this.offsets = new Float64Array(slates);
    this.partitions = new Uint16Array(slates);
    this.counts = new Uint16Array(slates);
    this.userRows = new Uint32Array(slates);
    this.emitted = new Uint8Array(slates);
    this.records = new Array<Uint8Array | null>(slates).fill(null);
    this.#ids = new Uint32Array(4 * slates);
    this.#rowsFrom = new Uint32Array(slates);
    this.#previousOfUser = new Float64Array(slates);
    this.#eventsFrom = new Float64Array(options.eventPartitions * slates);
  }

  /** Place of a slate in the columns. */
  entry(slate: number): number {
    return slate % this.slatesMax;
  }

  /** Place of an item of a slate in the row columns. */
  row(slate: number, item: number): number {
    const row = this.#rowsFrom[this.entry(slate)] + item;
    return row >= this.rowsMax ? row - this.rowsMax : row;
  }

  hasRoomFor(items: number): boolean {
    return this.next - this.oldest < this.slatesMax && this.rowsUsed + items <= this.rowsMax;
  }

  /** Keeps a slate; there must be room. Returns its number. */
  add(slate: NewSlate): number {
    const number = this.next++;
    const entry = this.entry(number);
    const last = number > this.oldest ? this.entry(number - 1) : -1;
    const from = last < 0 ? 0 : this.row(number - 1, 0) + this.counts[last];
    this.#rowsFrom[entry] = from >= this.rowsMax ? from - this.rowsMax : from;
    this.counts[entry] = slate.items.length;
    this.servedMs[entry] = slate.servedMs;
    this.offsets[entry] = slate.offset;
    this.partitions[entry] = slate.partition;
    this.userRows[entry] = slate.userRow;
    this.emitted[entry] = 0;
    this.records[entry] = slate.record;
    this.#ids.set(slate.requestId, 4 * entry);
    this.#eventsFrom.set(slate.eventsFrom, this.#eventPartitions * entry);
    this.rowsUsed += slate.items.length;
    this.#clearRows(number, slate.items);
    this.#index(number, entry);
    return number;
  }

  #clearRows(number: number, items: Uint32Array): void {
    for (let i = 0; i < items.length; i++) {
      const row = this.row(number, i);
      this.itemRows[row] = items[i];
      this.marks[row] = 0;
      const at = row * this.#heads;
      for (let h = 0; h < this.#heads; h++) this.labels[at + h] = 0;
    }
  }

  #index(number: number, entry: number): void {
    const id = 4 * entry;
    this.#byRequest.set(requestKey(this.#ids[id], this.#ids[id + 1]), number);
    const user = this.userRows[entry];
    if (user === noRow) return;
    this.#previousOfUser[entry] = this.#newestOfUser.get(user) ?? -1;
    this.#newestOfUser.set(user, number);
  }

  /** Forgets the oldest slate. */
  drop(): void {
    const number = this.oldest++;
    const entry = this.entry(number);
    const id = 4 * entry;
    const key = requestKey(this.#ids[id], this.#ids[id + 1]);
    if (this.#byRequest.get(key) === number) this.#byRequest.delete(key);
    const user = this.userRows[entry];
    if (this.#newestOfUser.get(user) === number) this.#newestOfUser.delete(user);
    this.records[entry] = null;
    this.rowsUsed -= this.counts[entry];
  }

  /** Number of the slate with this request id, -1 where none is kept. */
  byRequest(id: Id128): number {
    const number = this.#byRequest.get(requestKey(id[0], id[1]));
    if (number === undefined) return -1;
    const at = 4 * this.entry(number);
    const same = id.every((word, i) => this.#ids[at + i] === word);
    return same ? number : -1;
  }

  /** 32 bits of its request id. */
  idWord(slate: number): number {
    return this.#ids[4 * this.entry(slate)];
  }

  /** The user's newest slate before a time that has the item; partitions mix the order. */
  ofUser(of: { userRow: number; itemRow: number; timeMs: number }): number {
    let best = -1;
    let slate = this.#newestOfUser.get(of.userRow) ?? -1;
    for (let i = 0; i < userSlatesMax && slate >= this.oldest; i++) {
      const ms = this.servedMs[this.entry(slate)];
      const newer = best < 0 || ms > this.servedMs[this.entry(best)];
      if (ms <= of.timeMs && newer && this.placeOf(slate, of.itemRow) >= 0) best = slate;
      slate = this.#previousOfUser[this.entry(slate)];
    }
    return best;
  }

  /** Place of an item in a slate, -1 where it is not in it. */
  placeOf(slate: number, itemRow: number): number {
    const count = this.counts[this.entry(slate)];
    for (let i = 0; i < count; i++) if (this.itemRows[this.row(slate, i)] === itemRow) return i;
    return -1;
  }

  eventsFrom(slate: number, partition: number): number {
    return this.#eventsFrom[this.#eventPartitions * this.entry(slate) + partition];
  }

  labelsOf(row: number): Float32Array {
    return this.labels.subarray(row * this.#heads, (row + 1) * this.#heads);
  }
}

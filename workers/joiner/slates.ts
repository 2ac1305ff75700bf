import { type Id128, noRow } from "../../models/core/bytes.ts";
import { moved, type RingMove, roomFor } from "./ring-room.ts";
import type { Interaction } from "./waiting.ts";

/** Marks of one served item. */
export const mark = { seen: 1, emitted: 2, prompt: 4 } as const;

export interface SlatesOptions {
  readonly rowsMax: number;
  readonly heads: number;
  /** Heads of which is kept what samples said of them last. */
  readonly sentHeads: number;
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
  /** What names no slate and was received before this was decided when the slate was read. */
  readonly decidedMs: number;
  /** Offset of each events partition from which a replay finds all that belongs to the slate. */
  readonly eventsFrom: Float64Array;
}

/** 53 bits of a request id: a Map key that is a number. The whole id is compared afterwards. */
function requestKey(a: number, b: number): number {
  return a * 2 ** 21 + (b >>> 11);
}

/** A slate that left later cannot have led to an interaction. */
export function leftByMs(of: Pick<Interaction, "timeMs" | "receivedMs">): number {
  return Math.min(of.timeMs, of.receivedMs);
}

/** Slates of one user that are searched for an item, newest first. */
const userSlatesMax = 64;

/** Slates per row of room: a slate has eight items or more, or the slates run out first. */
const rowsPerSlate = 8;

/** Room of new rings. */
const slatesRoomLeast = 1_024;
const rowsRoomLeast = slatesRoomLeast * rowsPerSlate;

/**
 * The slates that interactions may still belong to, in two rings of columns: one entry a slate,
 * one row a served item (labels so far and marks). A slate is known by a number that only grows;
 * the oldest leaves first. Found by request id, or along the chain of a user's slates.
 *
 * The rings double when they are full, up to `rowsMax`: a ring of that size from the start would be
 * written from end to end, and so be resident, however few slates are kept at a time.
 */
export class Slates {
  readonly rowsMax: number;
  readonly slatesMax: number;
  /** Numbers of the oldest slate kept, and of the next to come. */
  oldest = 0;
  next = 0;
  rowsUsed = 0;
  labels: Float32Array;
  /** What was last said of an item's labels: rows x `sentHeads`. */
  sent: Float32Array;
  itemRows: Uint32Array;
  marks: Uint8Array;
  servedMs: Float64Array;
  /** When the first interaction with the slate happened and was accepted; 0 before one. */
  eventMs: Float64Array;
  acceptedMs: Float64Array;
  /** What names no slate and was received before this is not the slate's: it was read too late. */
  decidedMs: Float64Array;
  offsets: Float64Array;
  partitions: Uint16Array;
  counts: Uint16Array;
  userRows: Uint32Array;
  /** 1 once the slate's samples left. */
  emitted: Uint8Array;
  /** The served record while labels may change soon; afterwards it is read from the log. */
  records: (Uint8Array | null)[];
  readonly #heads: number;
  readonly #sentHeads: number;
  readonly #eventPartitions: number;
  #slatesRoom: number;
  #rowsRoom: number;
  #ids: Uint32Array;
  #rowsFrom: Uint32Array;
  #previousOfUser: Float64Array;
  #eventsFrom: Float64Array;
  readonly #byRequest = new Map<number, number>();
  readonly #newestOfUser = new Map<number, number>();

  constructor(options: SlatesOptions) {
    this.rowsMax = options.rowsMax;
    this.slatesMax = Math.max(16, Math.ceil(options.rowsMax / rowsPerSlate));
    this.#heads = options.heads;
    this.#sentHeads = options.sentHeads;
    this.#eventPartitions = options.eventPartitions;
    const slates = Math.min(this.slatesMax, slatesRoomLeast);
    const rows = Math.min(this.rowsMax, rowsRoomLeast);
    this.#slatesRoom = slates;
    this.#rowsRoom = rows;
    this.labels = new Float32Array(rows * options.heads);
    this.sent = new Float32Array(rows * options.sentHeads);
    this.itemRows = new Uint32Array(rows);
    this.marks = new Uint8Array(rows);
    this.servedMs = new Float64Array(slates);
    this.eventMs = new Float64Array(slates);
    this.acceptedMs = new Float64Array(slates);
    this.decidedMs = new Float64Array(slates);
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

  /** Bytes of the columns. */
  get sizeBytes(): number {
    const { labels, sent, itemRows, marks } = this;
    const ofRows = labels.byteLength + sent.byteLength + itemRows.byteLength + marks.byteLength;
    return ofRows + this.#slatesRoom * (65 + 8 * this.#eventPartitions);
  }

  /** Place of a slate in the columns. */
  entry(slate: number): number {
    return slate % this.#slatesRoom;
  }

  /** Place of an item of a slate in the row columns. */
  row(slate: number, item: number): number {
    const row = this.#rowsFrom[this.entry(slate)] + item;
    return row >= this.#rowsRoom ? row - this.#rowsRoom : row;
  }

  hasRoomFor(items: number): boolean {
    return this.next - this.oldest < this.slatesMax && this.rowsUsed + items <= this.rowsMax;
  }

  /** Keeps a slate; there must be room. Returns its number. */
  add(slate: NewSlate): number {
    this.#grow(slate.items.length);
    const number = this.next++;
    const entry = this.entry(number);
    const last = number > this.oldest ? this.entry(number - 1) : -1;
    const from = last < 0 ? 0 : this.row(number - 1, 0) + this.counts[last];
    this.#rowsFrom[entry] = from >= this.#rowsRoom ? from - this.#rowsRoom : from;
    this.counts[entry] = slate.items.length;
    this.servedMs[entry] = slate.servedMs;
    this.eventMs[entry] = 0;
    this.acceptedMs[entry] = 0;
    this.decidedMs[entry] = slate.decidedMs;
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

  /** Makes the rings large enough for one more slate of so many items. */
  #grow(items: number): void {
    const slates = roomFor(this.next - this.oldest + 1, this.#slatesRoom, this.slatesMax);
    if (slates > this.#slatesRoom) this.#growSlates(slates);
    const rows = roomFor(this.rowsUsed + items, this.#rowsRoom, this.rowsMax);
    if (rows > this.#rowsRoom) this.#growRows(rows);
  }

  #growSlates(newRoom: number): void {
    const count = this.next - this.oldest;
    const places = { from: this.entry(this.oldest), to: this.oldest % newRoom, count };
    const move = { ...places, oldRoom: this.#slatesRoom, newRoom };
    const one = { ...move, width: 1 };
    this.servedMs = moved(this.servedMs, new Float64Array(newRoom), one);
    this.eventMs = moved(this.eventMs, new Float64Array(newRoom), one);
    this.acceptedMs = moved(this.acceptedMs, new Float64Array(newRoom), one);
    this.decidedMs = moved(this.decidedMs, new Float64Array(newRoom), one);
    this.offsets = moved(this.offsets, new Float64Array(newRoom), one);
    this.partitions = moved(this.partitions, new Uint16Array(newRoom), one);
    this.counts = moved(this.counts, new Uint16Array(newRoom), one);
    this.userRows = moved(this.userRows, new Uint32Array(newRoom), one);
    this.emitted = moved(this.emitted, new Uint8Array(newRoom), one);
    this.#ids = moved(this.#ids, new Uint32Array(4 * newRoom), { ...move, width: 4 });
    this.#rowsFrom = moved(this.#rowsFrom, new Uint32Array(newRoom), one);
    this.#previousOfUser = moved(this.#previousOfUser, new Float64Array(newRoom), one);
    const width = this.#eventPartitions;
    const eventsFrom = new Float64Array(width * newRoom);
    this.#eventsFrom = moved(this.#eventsFrom, eventsFrom, { ...move, width });
    this.#moveRecords(move);
    this.#slatesRoom = newRoom;
  }

  #moveRecords({ from, to, count, oldRoom, newRoom }: RingMove): void {
    const records = new Array<Uint8Array | null>(newRoom).fill(null);
    for (let i = 0; i < count; i++) {
      records[(to + i) % newRoom] = this.records[(from + i) % oldRoom];
    }
    this.records = records;
  }

  #growRows(newRoom: number): void {
    const oldRoom = this.#rowsRoom;
    const from = this.rowsUsed === 0 ? 0 : this.row(this.oldest, 0);
    const move = { from, to: 0, count: this.rowsUsed, oldRoom, newRoom };
    const one = { ...move, width: 1 };
    const [heads, sentHeads] = [this.#heads, this.#sentHeads];
    const labels = new Float32Array(newRoom * heads);
    this.labels = moved(this.labels, labels, { ...move, width: heads });
    const sent = new Float32Array(newRoom * sentHeads);
    this.sent = moved(this.sent, sent, { ...move, width: sentHeads });
    this.itemRows = moved(this.itemRows, new Uint32Array(newRoom), one);
    this.marks = moved(this.marks, new Uint8Array(newRoom), one);
    for (let slate = this.oldest; slate < this.next; slate++) {
      const entry = this.entry(slate);
      this.#rowsFrom[entry] = (this.#rowsFrom[entry] - from + oldRoom) % oldRoom;
    }
    this.#rowsRoom = newRoom;
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

  /**
   * The user's newest slate with the item that left before the interaction happened, and so before
   * it was received, whatever the client's clock says; partitions mix the order. Slates that were
   * read more than `graceMs` too late for it are left aside.
   */
  ofUser(
    of: Pick<Interaction, "userRow" | "itemRow" | "timeMs" | "receivedMs">,
    graceMs = 0,
  ): number {
    const untilMs = leftByMs(of);
    let best = -1;
    let slate = this.#newestOfUser.get(of.userRow) ?? -1;
    for (let i = 0; i < userSlatesMax && slate >= this.oldest; i++) {
      const entry = this.entry(slate);
      const ms = this.servedMs[entry];
      const newer = best < 0 || ms > this.servedMs[this.entry(best)];
      const inTime = ms <= untilMs && this.decidedMs[entry] <= of.receivedMs + graceMs;
      if (inTime && newer && this.placeOf(slate, of.itemRow) >= 0) best = slate;
      slate = this.#previousOfUser[entry];
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

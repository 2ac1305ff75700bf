import { type Id128, readId128 } from "../../models/core/bytes.ts";
import { eventAt } from "../../models/core/event.ts";

/** An interaction as the joiner uses it. */
export interface Interaction {
  readonly type: number;
  readonly userRow: number;
  readonly itemRow: number;
  readonly timeMs: number;
  readonly receivedMs: number;
  readonly value: number;
  readonly requestId: Id128;
  readonly partition: number;
  readonly offset: number;
}

/** The interaction in an event's record; its time is the one that it counts under. */
export function readInteraction(
  view: DataView,
  at: number,
  where: Pick<Interaction, "partition" | "offset" | "timeMs">,
): Interaction {
  return {
    ...where,
    type: view.getUint8(at + eventAt.type),
    userRow: view.getUint32(at + eventAt.userRow, true),
    itemRow: view.getUint32(at + eventAt.itemRow, true),
    receivedMs: view.getFloat64(at + eventAt.receivedMs, true),
    value: view.getFloat32(at + eventAt.value, true),
    requestId: readId128(view, at + eventAt.requestId),
  };
}

/** One that waits; those under one key are a list, oldest first. */
interface Entry {
  readonly interaction: Interaction;
  readonly key: string | number | null;
  matched: boolean;
  next: Entry | null;
}

/**
 * Interactions that wait for a slate: topics are read one after the other, and a slate may reach
 * the log after the click on it. In the order in which they came, and those with a key found by it.
 * Bounded; the oldest gives way.
 */
export class WaitingInteractions {
  readonly #max: number;
  readonly #onOrphan: (interaction: Interaction) => void;
  #entries: Entry[] = [];
  #head = 0;
  readonly #first = new Map<string | number, Entry>();
  readonly #last = new Map<string | number, Entry>();

  constructor(max: number, onOrphan: (interaction: Interaction) => void) {
    this.#max = max;
    this.#onOrphan = onOrphan;
  }

  get size(): number {
    return this.#entries.length - this.#head;
  }

  get isFull(): boolean {
    return this.size >= this.#max;
  }

  /** When the oldest was received, and one in the middle; some must wait. */
  get oldestMs(): number {
    return this.#entries[this.#head]!.interaction.receivedMs;
  }

  get middleMs(): number {
    return this.#entries[this.#head + Math.floor(this.size / 2)]!.interaction.receivedMs;
  }

  add(key: string | number | null, interaction: Interaction): void {
    if (this.isFull) this.#leave();
    const entry: Entry = { interaction, key, matched: false, next: null };
    this.#entries.push(entry);
    if (key === null) return;
    const last = this.#last.get(key);
    this.#last.set(key, entry);
    if (last === undefined) this.#first.set(key, entry);
    else last.next = entry;
  }

  /** Gives `take` each interaction that waits under a key; those that it takes leave. */
  match(key: string | number, take: (interaction: Interaction) => boolean): void {
    let entry = this.#first.get(key) ?? null;
    if (entry === null) return;
    let kept: Entry | null = null;
    this.#first.delete(key);
    this.#last.delete(key);
    for (let next: Entry | null = null; entry !== null; entry = next) {
      next = entry.next;
      entry.matched = take(entry.interaction);
      if (entry.matched) continue;
      entry.next = null;
      if (kept === null) this.#first.set(key, entry);
      else kept.next = entry;
      kept = entry;
    }
    if (kept !== null) this.#last.set(key, kept);
  }

  /** Gives `take` those without a key that were received before `untilMs`: they leave. */
  settle(untilMs: number, take: (interaction: Interaction) => void): void {
    for (let i = this.#head; i < this.#entries.length; i++) {
      const entry = this.#entries[i]!;
      const { key, matched, interaction } = entry;
      if (matched || key !== null || interaction.receivedMs >= untilMs) continue;
      entry.matched = true;
      take(interaction);
    }
  }

  /** Those received before `timeMs` have no slate. */
  expire(timeMs: number): void {
    while (this.size > 0) {
      const { interaction, matched } = this.#entries[this.#head];
      if (!matched && interaction.receivedMs >= timeMs) return;
      this.#leave();
    }
  }

  #leave(): void {
    const entry = this.#entries[this.#head++];
    if (this.#head > 1_024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    if (entry.matched) return;
    if (entry.key !== null) this.#leaveKey(entry.key, entry.next);
    this.#onOrphan(entry.interaction);
  }

  /** The oldest of all is the oldest of its key. */
  #leaveKey(key: string | number, next: Entry | null): void {
    if (next !== null) this.#first.set(key, next);
    else {
      this.#first.delete(key);
      this.#last.delete(key);
    }
  }

  /** Smallest offset of a partition that still waits, or `otherwise`. */
  oldestOffset(partition: number, otherwise: number): number {
    for (let i = this.#head; i < this.#entries.length; i++) {
      const { interaction, matched } = this.#entries[i];
      // Offsets of a partition arrive in order, so the first one is the smallest.
      if (!matched && interaction.partition === partition) return interaction.offset;
    }
    return otherwise;
  }
}

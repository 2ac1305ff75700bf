import type { Id128 } from "../../models/core/bytes.ts";

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

interface Entry {
  readonly interaction: Interaction;
  readonly key: string;
  matched: boolean;
}

/**
 * Interactions whose slate has not been read yet: topics are read one after the other, and a slate
 * may reach the log after the click on it. Bounded; the oldest gives way.
 */
export class WaitingInteractions {
  readonly #max: number;
  readonly #onOrphan: (interaction: Interaction) => void;
  #entries: Entry[] = [];
  #head = 0;
  readonly #byKey = new Map<string, Entry[]>();

  constructor(max: number, onOrphan: (interaction: Interaction) => void) {
    this.#max = max;
    this.#onOrphan = onOrphan;
  }

  get size(): number {
    return this.#entries.length - this.#head;
  }

  add(key: string, interaction: Interaction): void {
    if (this.size >= this.#max) this.#leave();
    const entry = { interaction, key, matched: false };
    this.#entries.push(entry);
    const same = this.#byKey.get(key);
    if (same === undefined) this.#byKey.set(key, [entry]);
    else same.push(entry);
  }

  /** Gives `take` each interaction that waits under a key; those that it takes leave. */
  match(key: string, take: (interaction: Interaction) => boolean): void {
    const same = this.#byKey.get(key);
    if (same === undefined) return;
    const left = same.filter((entry) => {
      entry.matched = take(entry.interaction);
      return !entry.matched;
    });
    if (left.length === 0) this.#byKey.delete(key);
    else this.#byKey.set(key, left);
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
    const left = (this.#byKey.get(entry.key) ?? []).filter((other) => other !== entry);
    if (left.length === 0) this.#byKey.delete(entry.key);
    else this.#byKey.set(entry.key, left);
    this.#onOrphan(entry.interaction);
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

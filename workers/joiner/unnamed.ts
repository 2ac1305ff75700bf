import type { AttributionRules } from "./attribution.ts";
import type { JoinerCounts } from "./counts.ts";
import { LateSlates } from "./late-slates.ts";
import { leftByMs, type Slates } from "./slates.ts";
import type { Interaction } from "./waiting.ts";

/** A record that is later than this after the decision is not looked for any more. */
const rememberedMs = 60_000;

/** What was given to a slate, or to none, and might turn out to be a newer one's. */
interface Decided extends Omit<Interaction, "value" | "requestId"> {
  /** From where a replay finds it, and all that were decided after it. */
  readonly offset: number;
  /** When the slate was served that it was given to. */
  readonly ownerMs: number;
  isCounted: boolean;
}

export interface UnnamedOptions {
  readonly slates: Slates;
  readonly rules: AttributionRules;
  readonly counts: JoinerCounts;
  /** Decided interactions that are remembered, at most. */
  readonly max: number;
  readonly eventPartitions: number;
}

/**
 * To which slates interactions belong that name none: to the user's newest with the item among
 * those that were read by the time at which it was decided. A slate that is read later gets
 * nothing of what was decided, in this process or by a replay; what it would have got is counted.
 */
export class UnnamedInteractions {
  readonly #options: UnnamedOptions;
  #decided: Decided[] = [];
  #head = 0;
  /** Made when a late slate comes: they are rare. */
  #byUser: Map<number, Decided[]> | null = null;
  readonly late = new LateSlates();
  /** What was received before this is decided. */
  decidedMs = 0;
  /** By events partition: nothing before these offsets waited when things were decided last. */
  waitsFrom: Float64Array;

  constructor(options: UnnamedOptions) {
    this.#options = options;
    this.waitsFrom = new Float64Array(options.eventPartitions);
  }

  /** What has been decided, when a slate is read that left at `servedMs`; 0 where it is in time. */
  noteRead(of: { partition: number; offset: number; servedMs: number }): number {
    if (of.servedMs >= this.decidedMs) return 0;
    this.late.add({ ...of, decidedMs: this.decidedMs });
    return this.decidedMs;
  }

  /** Counts what would have been a late slate's. */
  countFor(slate: number): void {
    const { slates } = this.#options;
    const entry = slates.entry(slate);
    if (slates.decidedMs[entry] === 0) return;
    for (const one of this.#decidedOf(slates.userRows[entry])) {
      const isNewer = slates.servedMs[entry] >= one.ownerMs;
      const wasLeft = slates.servedMs[entry] <= leftByMs(one);
      const isRemembered = slates.decidedMs[entry] <= one.receivedMs + rememberedMs;
      if (one.isCounted || !isNewer || !wasLeft || !isRemembered) continue;
      if (slates.placeOf(slate, one.itemRow) < 0) continue;
      one.isCounted = this.#countIfOpen(slate, one);
    }
  }

  #decidedOf(userRow: number): readonly Decided[] {
    this.#byUser ??= Map.groupBy(this.#decided.slice(this.#head), (one) => one.userRow);
    return this.#byUser.get(userRow) ?? [];
  }

  /** Decides: the slate that an interaction belongs to, -1 where it has none. */
  slateOf(interaction: Interaction): number {
    const { slates } = this.#options;
    const slate = slates.ofUser(interaction);
    const late = this.late.size > 0 ? slates.ofUser(interaction, rememberedMs) : slate;
    if (late !== slate && this.#countIfOpen(late, interaction)) return slate;
    const ownerMs = slate < 0 ? Number.NEGATIVE_INFINITY : slates.servedMs[slates.entry(slate)];
    this.#remember(interaction, ownerMs);
    return slate;
  }

  #remember(interaction: Interaction, ownerMs: number): void {
    const { type, userRow, itemRow, timeMs, receivedMs, partition } = interaction;
    const what = { type, userRow, itemRow, timeMs, receivedMs, partition };
    const offset = this.waitsFrom[partition]!;
    this.#decided.push({ ...what, offset, ownerMs, isCounted: false });
    if (this.#decided.length - this.#head > this.#options.max) this.#head++;
    this.#byUser = null;
    this.#trim();
  }

  /** Whether an interaction came before its attribution window with a slate closed. */
  #countIfOpen(slate: number, { timeMs, type }: Pick<Interaction, "timeMs" | "type">): boolean {
    const { slates, rules, counts } = this.#options;
    const closesMs = slates.servedMs[slates.entry(slate)] + rules.attributionMs[type];
    if (timeMs > closesMs) return false;
    counts.decidedEarly++;
    return true;
  }

  #trim(): void {
    if (this.#head <= 1_024 || this.#head * 2 <= this.#decided.length) return;
    this.#decided = this.#decided.slice(this.#head);
    this.#head = 0;
  }

  /** Forgets what is older than a record may be late, and slates before these offsets. */
  forget(droppedTo: readonly number[]): void {
    const sinceMs = this.decidedMs - rememberedMs;
    while ((this.#decided[this.#head]?.receivedMs ?? sinceMs) < sinceMs) this.#head++;
    this.#trim();
    this.late.dropBefore(droppedTo);
  }

  /** From where a replay of an events partition finds all that is remembered. */
  oldestOffset(partition: number): number {
    for (let i = this.#head; i < this.#decided.length; i++) {
      if (this.#decided[i]!.partition === partition) return this.#decided[i]!.offset;
    }
    return Number.POSITIVE_INFINITY;
  }
}

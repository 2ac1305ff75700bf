import type { AttributionRules } from "./attribution.ts";
import type { JoinerCounts } from "./counts.ts";
import { LateSlates } from "./late-slates.ts";
import { leftByMs, type Slates } from "./slates.ts";
import { type Interaction, WaitingInteractions } from "./waiting.ts";

/** A record that is later than this after the decision is not looked for any more. */
const rememberedMs = 60_000;

/** An interaction that was given to a slate, or to none, and might turn out to be a newer one's. */
interface Decided extends Interaction {
  /** From where a replay finds it, and all that were decided after it. */
  readonly offset: number;
  /** When the slate was served that it was given to. */
  readonly ownerMs: number;
}

export interface UnnamedOptions {
  readonly slates: Slates;
  readonly rules: AttributionRules;
  readonly counts: JoinerCounts;
  /** Decided interactions that are remembered, at most. */
  readonly max: number;
}

/**
 * To which slates interactions belong that name none: to the user's newest with the item among
 * those that were read by the time at which it was decided. A slate that is read later gets
 * nothing of what was decided, in this process or by a replay; what it would have got is counted.
 */
export class UnnamedInteractions {
  readonly #options: UnnamedOptions;
  readonly #decided: WaitingInteractions<Decided>;
  readonly late = new LateSlates();
  /** What was received before this is decided. */
  decidedMs = 0;

  constructor(options: UnnamedOptions) {
    this.#options = options;
    this.#decided = new WaitingInteractions(options.max, () => {});
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
    this.#decided.match(slates.userRows[entry], (one) => {
      const isNewer = slates.servedMs[entry] >= one.ownerMs;
      const wasLeft = slates.servedMs[entry] <= leftByMs(one);
      const isRemembered = slates.decidedMs[entry] <= one.receivedMs + rememberedMs;
      const has = isNewer && wasLeft && isRemembered && slates.placeOf(slate, one.itemRow) >= 0;
      return has && this.#countIfOpen(slate, one);
    });
  }

  /**
   * Decides: the slate that an interaction belongs to, -1 where it has none. `waitsFrom`: the
   * smallest offset of its partition that is not decided.
   */
  slateOf(interaction: Interaction, waitsFrom: number): number {
    const { slates } = this.#options;
    const slate = slates.ofUser(interaction);
    const late = this.late.size > 0 ? slates.ofUser(interaction, rememberedMs) : slate;
    if (late !== slate && this.#countIfOpen(late, interaction)) return slate;
    const ownerMs = slate < 0 ? Number.NEGATIVE_INFINITY : slates.servedMs[slates.entry(slate)];
    this.#decided.add(interaction.userRow, { ...interaction, offset: waitsFrom, ownerMs });
    return slate;
  }

  /** Whether an interaction came before its attribution window with a slate closed. */
  #countIfOpen(slate: number, { timeMs, type }: Interaction): boolean {
    const { slates, rules, counts } = this.#options;
    const closesMs = slates.servedMs[slates.entry(slate)] + rules.attributionMs[type];
    if (timeMs > closesMs) return false;
    counts.decidedEarly++;
    return true;
  }

  /** Forgets what is older than a record may be late, and slates before these offsets. */
  forget(droppedTo: readonly number[]): void {
    this.#decided.expire(this.decidedMs - rememberedMs);
    this.late.dropBefore(droppedTo);
  }

  /** From where a replay of an events partition finds all that is remembered. */
  oldestOffset(partition: number): number {
    return this.#decided.oldestOffset(partition, Number.POSITIVE_INFINITY);
  }
}

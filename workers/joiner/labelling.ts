import { assert } from "../../models/core/assert.ts";
import type { AttributionRules } from "./attribution.ts";
import { mark, type Slates } from "./slates.ts";
import type { Interaction } from "./waiting.ts";

export interface LabellingOptions {
  readonly slates: Slates;
  readonly rules: AttributionRules;
  /** A label that was received by then is in the primary sample. */
  readonly emitAfterMs: number;
  /** Share of the negatives that make samples, in (0, 1]. */
  readonly negativesShare: number;
}

/**
 * The labels of served items, what samples said of them already, and which negatives are left out.
 *
 * Of items that nobody touched in time only a share makes samples, each weighing 1 / share, so that
 * every sum over samples keeps its expectation. Which ones depends on the request's id alone: after
 * a restart they are the same. An item that is left out stays so, whatever comes later: those that
 * are kept weigh for it, in their corrections too.
 */
export class Labelling {
  readonly #options: LabellingOptions;

  constructor(options: LabellingOptions) {
    this.#options = options;
    const { negativesShare } = options;
    assert(negativesShare > 0 && negativesShare <= 1, "negativesShare is in (0, 1]");
  }

  /** Takes an interaction with an item in; the head whose label changed, -1 where none did. */
  take(slate: number, place: number, interaction: Interaction): number {
    const { slates, rules, emitAfterMs } = this.#options;
    const row = slates.row(slate, place);
    const dueMs = slates.servedMs[slates.entry(slate)] + emitAfterMs;
    slates.marks[row] |= mark.seen;
    const head = rules.headOf[interaction.type];
    if (head < 0 || !this.#set(row * rules.heads + head, interaction)) return -1;
    if (interaction.receivedMs <= dueMs) slates.marks[row] |= mark.prompt;
    return head;
  }

  #set(at: number, interaction: Interaction): boolean {
    const { labels } = this.#options.slates;
    if (this.#options.rules.isSeconds[interaction.type] === 1) {
      if (!(interaction.value > 0)) return false;
      labels[at] += interaction.value;
      return true;
    }
    const isNew = labels[at] === 0;
    labels[at] = 1;
    return isNew;
  }

  /** Importance of an item's samples; 0 where it is left out. */
  weightOf(slate: number, place: number): number {
    const { slates, negativesShare } = this.#options;
    if (negativesShare === 1) return 1;
    if ((slates.marks[slates.row(slate, place)] & mark.prompt) !== 0) return 1;
    const drawn = mixed(slates.idWord(slate) ^ Math.imul(place + 1, 0x9e3779b1)) / 2 ** 32;
    return drawn < negativesShare ? 1 / negativesShare : 0;
  }

  /** What the last sample said of a label; only of seconds, others are corrected once at most. */
  sent(row: number, head: number): number {
    const { slates, rules } = this.#options;
    const at = rules.secondsAt[head];
    return at < 0 ? 0 : slates.sent[row * rules.secondsHeads + at];
  }

  /** A sample says the labels of a row as they are now. */
  noteSent(row: number): void {
    const { slates, rules } = this.#options;
    for (let head = 0; head < rules.heads; head++) {
      const at = rules.secondsAt[head];
      if (at < 0) continue;
      slates.sent[row * rules.secondsHeads + at] = slates.labels[row * rules.heads + head];
    }
  }
}

/** Murmur3 finaliser. */
function mixed(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

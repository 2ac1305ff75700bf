import type { Random } from "../../models/core/random.ts";
import type { Population, Session } from "./user-model.ts";
import type { World } from "./world.ts";

/** What a user did with one shown item. */
export interface Outcome {
  readonly clicked: boolean;
  readonly liked: boolean;
  readonly finished: boolean;
  readonly converted: boolean;
  /** 0 when not clicked. */
  readonly watchSeconds: number;
}

const nothing: Outcome = {
  clicked: false,
  liked: false,
  finished: false,
  converted: false,
  watchSeconds: 0,
};

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** Chance that the place is looked at. */
export function examination(world: World, position: number): number {
  return (1 + position) ** -world.options.examinationPower;
}

/** The click logit of an examined, unseen item with no saturation. */
export function appeal(world: World, session: Session, slot: number): number {
  const { topics, topicWeight } = world.options;
  let dot = 0;
  for (let d = 0; d < topics; d++) dot += session.topics[d]! * world.topics[slot * topics + d]!;
  const second = world.secondCategory[slot]!;
  const first = session.taste[world.category[slot]!]!;
  const other = second < 0 ? 0 : 0.5 * session.taste[second]!;
  return world.base[slot]! + Math.max(first, other) + topicWeight * dot;
}

export function saturationLoss(world: World, shownBefore: number): number {
  const { saturationPenalty, saturationMax } = world.options;
  return saturationPenalty * Math.min(shownBefore, saturationMax);
}

/**
 * Click chances of a slate, exact: saturation counts what is shown, not what is looked at. Slots
 * of -1 (unknown or retired items) are never clicked. `out` gets one chance per place; returns
 * their sum. Call `population.markSeen` first.
 */
export function slateChances(
  population: Population,
  session: Session,
  slots: readonly number[],
  out: Float64Array,
): number {
  const { world } = population;
  const saturation = scratch(session.saturation);
  let sum = 0;
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i]!;
    out[i] = 0;
    if (slot < 0) continue;
    const category = world.category[slot]!;
    const repeat = population.mark[slot] === population.stamp ? world.options.repeatPenalty : 0;
    const logit =
      appeal(world, session, slot) - repeat - saturationLoss(world, saturation[category]!);
    out[i] = examination(world, i) * sigmoid(logit);
    saturation[category]!++;
    sum += out[i]!;
  }
  return sum;
}

let scratchBuffer = new Float32Array(64);

function scratch(values: Float32Array): Float32Array {
  if (scratchBuffer.length < values.length) scratchBuffer = new Float32Array(values.length);
  scratchBuffer.set(values);
  return scratchBuffer;
}

/** The session after a slate: what was shown tires, what was shown before fades. */
export function tire(population: Population, session: Session, slots: readonly number[]): void {
  const { world } = population;
  const kept = world.options.saturationKept;
  for (let c = 0; c < session.saturation.length; c++) session.saturation[c]! *= kept;
  for (const slot of slots) {
    if (slot < 0) continue;
    session.saturation[world.category[slot]!]!++;
    population.remember(session.user, slot);
  }
}

/** Chances of what follows a click, as functions of the appeal (a logit). */
export const afterClick = {
  like: (logit: number) => sigmoid(-1.6 + 0.6 * (logit + 1.5)),
  convert: (logit: number) => sigmoid(-2.6 + 0.5 * (logit + 1.5)),
  /** Mean of the log of the watched share of the duration; its deviation is `watchSpread`. */
  watchMean: (logit: number) => -0.5 + 0.25 * (logit + 1.5),
  finish: (logit: number) =>
    normalTail((Math.log(finishedShare) - afterClick.watchMean(logit)) / watchSpread),
};

export const watchSpread = 0.7;
/** Watching this share of the duration or more is a finish. */
export const finishedShare = 0.9;

/** Chance that a standard normal exceeds x (Abramowitz and Stegun 26.2.17, error < 1e-7). */
function normalTail(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const series =
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (series * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
  return x >= 0 ? tail : 1 - tail;
}

/** Draws what happens at a place whose click chance is `chance`. */
export function behave(
  world: World,
  random: Random,
  shown: { session: Session; slot: number; chance: number },
): Outcome {
  if (random.next() >= shown.chance) return nothing;
  const logit = appeal(world, shown.session, shown.slot);
  const share = Math.exp(afterClick.watchMean(logit) + watchSpread * random.normal());
  return {
    clicked: true,
    liked: random.next() < afterClick.like(logit),
    converted: random.next() < afterClick.convert(logit),
    finished: share >= finishedShare,
    watchSeconds: Math.min(share, 1) * world.durationSeconds[shown.slot]!,
  };
}

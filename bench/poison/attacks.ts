import { Random } from "../../models/core/random.ts";
import type { Sample } from "../../models/training/sample.ts";

/** Ways in which samples go bad. */
export const attackNames = ["nan", "huge", "flood", "inverted", "slow"] as const;
export type AttackName = (typeof attackNames)[number];

export interface Attack {
  /** Share of the samples that are bad, when `age` (0 to 1) of the attack has passed. */
  share(age: number): number;
  /** What a bad one looks like. */
  bad(sample: Sample): Sample;
}

const whole = () => 1;

/** Binary labels turned round; seconds to the other side of a quarter of a minute. */
function inverted(sample: Sample, seconds: readonly boolean[]): Sample {
  const labels = sample.labels.map((label, h) => {
    return seconds[h] ? (label > 15 ? 0 : 30) : 1 - label;
  });
  return { ...sample, labels };
}

/** Attacks on samples whose heads predict seconds or rates; the flood's user is `userRow`. */
export function attackOf(
  name: AttackName,
  of: { seconds: readonly boolean[]; userRow: number },
): Attack {
  const { seconds, userRow } = of;
  const liked = Float32Array.from(seconds, (isSeconds) => (isSeconds ? 100 : 1));
  const filled = (values: Float32Array, value: number) => values.map(() => value);
  if (name === "nan") {
    return {
      share: () => 0.2,
      bad: (sample) => ({ ...sample, userDense: filled(sample.userDense, Number.NaN) }),
    };
  }
  if (name === "huge") {
    return {
      share: () => 0.2,
      bad: (sample) => ({ ...sample, itemDense: filled(sample.itemDense, 1e308) }),
    };
  }
  if (name === "flood") {
    let first: Float32Array | null = null;
    const bad = (sample: Sample) => {
      first ??= sample.userDense;
      return { ...sample, userRow, userDense: first, labels: liked };
    };
    return { share: () => 0.6, bad };
  }
  const share = name === "slow" ? (age: number) => age : whole;
  return { share, bad: (sample) => inverted(sample, seconds) };
}

/** Draws which samples go bad. */
export class Attacker {
  readonly #attack: Attack;
  readonly #random: Random;
  count = 0;

  constructor(attack: Attack, seed: number) {
    this.#attack = attack;
    this.#random = new Random(seed);
  }

  /** The sample, bad with the attack's chance at this age; as it is before 0 and after 1. */
  through(sample: Sample, age: number): Sample {
    if (age < 0 || age > 1 || this.#random.next() >= this.#attack.share(age)) return sample;
    this.count++;
    return this.#attack.bad(sample);
  }
}

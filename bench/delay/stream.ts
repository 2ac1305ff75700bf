import { noId, noRow } from "../../models/core/bytes.ts";
import { sigmoid } from "../../models/core/numbers.ts";
import { Random } from "../../models/core/random.ts";
import type { HeadDefinition } from "../../models/definition/define.ts";
import type { RankerShape } from "../../models/ranking/ranker.ts";
import type { Sample } from "../../models/training/sample.ts";

const hourMs = 3_600_000;
/** When a slate's samples leave, and until when a late label still belongs to it. */
export const emitAfterMs = 2 * 60_000;
export const windowMs = 24 * hourMs;

const width = 12;
const ids = { users: 500, items: 300 } as const;

/**
 * A click at once; a purchase after a click and a visit without one, both hours later: some 6 and
 * 43 of a hundred impressions.
 */
const heads: readonly HeadDefinition[] = [
  { name: "click", interaction: "click", kind: "binary" },
  { name: "purchase", interaction: "purchase", kind: "binary", given: "click" },
  { name: "visit", interaction: "visit", kind: "binary" },
];

/** The heads whose labels come late. */
export const delayedHeads = [
  { name: "Purchase", head: 1 },
  { name: "Visit", head: 2 },
] as const;

export function delayShape(delayed: "takeBack" | "fakeNegative"): RankerShape {
  return {
    ...{ userWidth: width, itemWidth: width, userEmbedding: 8, itemEmbedding: 8 },
    heads: heads.map((head) => ({ ...head, delayed })),
    ...{ experts: 3, expertLayers: [32, 16], towerLayers: [8], positions: 1 },
  };
}

export const tableRows = ids;

/** An impression, and what came of it in the end. */
export interface Impression {
  readonly sample: Sample;
  /** When each label came, by head; infinite where it never did, or after its window. */
  readonly cameMs: readonly number[];
}

export interface DelaySizes {
  readonly seed: number;
  readonly hours: number;
  readonly perHour: number;
}

/** What an outcome depends on: two lines, from the first of which it turns towards the second. */
class Teacher {
  readonly #user: readonly [Float32Array, Float32Array];
  readonly #item: readonly [Float32Array, Float32Array];
  readonly #base: number;

  constructor(random: Random, base: number) {
    const column = () => Float32Array.from({ length: width }, () => random.normal());
    this.#user = [column(), column()];
    this.#item = [column(), column()];
    this.#base = base;
  }

  /** `age` from 0 to 1: how much of the stream has passed. A third of it is a sale. */
  logit(user: Float32Array, item: Float32Array, age: number): number {
    const turn = (Math.PI / 4) * age;
    const scale = 1 / Math.sqrt(2 * width);
    let line = 0;
    for (const [of, values] of [
      [this.#user, user],
      [this.#item, item],
    ] as const) {
      for (let j = 0; j < width; j++) {
        const weight = Math.cos(turn) * of[0][j]! + Math.sin(turn) * of[1][j]!;
        line += scale * weight * values[j]!;
      }
    }
    const isSale = age >= 0.5 && age < 0.75;
    return this.#base + line + (isSale ? 0.8 : 0);
  }
}

/**
 * Impressions in order of time. Rates move: what people go by turns by an eighth of a circle, and
 * in the third quarter the odds more than double. Labels come after exponential delays whose mean,
 * some two hours, hangs on the item.
 */
export function drawImpressions({ seed, hours, perHour }: DelaySizes): Impression[] {
  const random = new Random(seed);
  const [click, purchase, visit] = [-1, -2, -0.6].map((base) => new Teacher(random, base));
  const column = () => Float32Array.from({ length: width }, () => random.normal());
  const items = Array.from({ length: ids.items }, column);
  const users = Array.from({ length: ids.users }, column);
  const count = hours * perHour;
  return Array.from({ length: count }, (_, i) => {
    const servedMs = (i / perHour) * hourMs;
    const [userRow, itemRow] = [random.int(ids.users), random.int(ids.items)];
    const [userDense, itemDense] = [users[userRow]!, items[itemRow]!];
    const happens = (of: Teacher) =>
      random.next() < sigmoid(of.logit(userDense, itemDense, i / count));
    const meanMs = 2 * hourMs * Math.exp(0.5 * itemDense[0]!);
    const after = (isSure: boolean, delayMs: number) =>
      isSure && delayMs <= windowMs ? servedMs + delayMs : Number.POSITIVE_INFINITY;
    const clicked = happens(click!);
    const bought = clicked && happens(purchase!);
    const visited = happens(visit!);
    const cameMs = [
      after(clicked, 10_000),
      after(bought, random.exponential(meanMs)),
      after(visited, random.exponential(meanMs)),
    ];
    const labels = Float32Array.from(cameMs, (ms) => (ms < Number.POSITIVE_INFINITY ? 1 : 0));
    const sample: Sample = {
      ...{ kind: "primary", position: 0, userRow, itemRow, categoryRow: noRow, weight: 1 },
      ...{ servedMs, emittedMs: servedMs + emitAfterMs, requestId: noId },
      ...{ labels, userDense, itemDense },
    };
    return { sample, cameMs };
  });
}

import { noId, noRow } from "../../core/bytes.ts";
import { Random } from "../../core/random.ts";
import type { HeadDefinition } from "../../definition/define.ts";
import type { RankerShape } from "../../ranking/layout.ts";
import type { Sample } from "../sample.ts";

export const feedHeads: readonly HeadDefinition[] = [
  { name: "ctr", interaction: "click", kind: "binary" },
  { name: "like", interaction: "like", kind: "binary" },
  { name: "cvr", interaction: "convert", kind: "binary", given: "ctr" },
  { name: "watch", interaction: "watch", kind: "seconds" },
];

export const feedShape: RankerShape = {
  userWidth: 5,
  itemWidth: 6,
  userEmbedding: 3,
  itemEmbedding: 2,
  heads: feedHeads,
  experts: 3,
  expertLayers: [12, 9],
  towerLayers: [7],
  positions: 4,
};

function sigmoid(z: number): number {
  return 1 / (1 + Math.exp(-z));
}

function column(random: Random, width: number): Float32Array {
  return Float32Array.from({ length: width }, (_, j) => 3 * j + (j + 1) * random.normal());
}

/** Rates that the feed draws from: the truth behind each sample. */
export interface Truth {
  readonly ctr: number;
  readonly like: number;
  readonly cvr: number;
}

/**
 * Draws samples of a small made-up feed: click, like, conversion given a click, watch seconds,
 * all with known rates that depend on features, one on a crossing of user and item.
 */
export function drawFeed(count: number, seed: number): { samples: Sample[]; truths: Truth[] } {
  const random = new Random(seed);
  const samples: Sample[] = [];
  const truths: Truth[] = [];
  for (let i = 0; i < count; i++) {
    const user = column(random, feedShape.userWidth);
    const item = column(random, feedShape.itemWidth);
    const [a, b] = [user[0]!, item[0]!];
    const truth = {
      ctr: sigmoid(1.5 * a * b + b - 1),
      like: sigmoid(a - 2),
      cvr: sigmoid((item[1]! - 3) / 2),
    };
    const click = random.next() < truth.ctr;
    const seconds = click ? Math.exp(1 + 0.5 * b + 0.2 * random.normal()) : 0;
    const labels = [click, random.next() < truth.like, click && random.next() < truth.cvr];
    truths.push(truth);
    samples.push({
      kind: "primary",
      position: i % 5,
      userRow: random.int(20),
      itemRow: i % 7 === 0 ? noRow : random.int(30),
      categoryRow: noRow,
      weight: 1,
      servedMs: i,
      emittedMs: i,
      requestId: noId,
      labels: Float32Array.from([...labels.map(Number), seconds]),
      userDense: user,
      itemDense: item,
    });
  }
  return { samples, truths };
}

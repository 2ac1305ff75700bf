import { noId, noRow } from "../../models/core/bytes.ts";
import { Random } from "../../models/core/random.ts";
import type { RankerShape } from "../../models/ranking/ranker.ts";
import type { Sample } from "../../models/training/sample.ts";

/** 256 inputs: 112 dense and an id embedding of 16 for the user, and the same for the item. */
export const wideShape: RankerShape = {
  userWidth: 112,
  itemWidth: 112,
  userEmbedding: 16,
  itemEmbedding: 16,
  heads: [
    { name: "ctr", interaction: "click", kind: "binary" },
    { name: "like", interaction: "like", kind: "binary" },
    { name: "finish", interaction: "finish", kind: "binary" },
    { name: "cvr", interaction: "convert", kind: "binary", given: "ctr" },
    { name: "watch", interaction: "watch", kind: "seconds" },
  ],
  experts: 4,
  expertLayers: [128, 64],
  towerLayers: [32],
  positions: 1,
};

export const streamIds = { users: 2_000, items: 1_000 } as const;

/** A drawn stream as columns, so that a peer reads the very same. */
export interface SampleStream {
  readonly count: number;
  readonly userRows: Uint32Array;
  readonly itemRows: Uint32Array;
  /** count x width. */
  readonly userDense: Float32Array;
  readonly itemDense: Float32Array;
  /** count x heads; watch in seconds. */
  readonly labels: Float32Array;
}

function normals(random: Random, count: number, scale = 1): Float32Array {
  return Float32Array.from({ length: count }, () => random.normal() * scale);
}

function dot(values: Float32Array, at: number, weights: Float32Array): number {
  let total = 0;
  for (let j = 0; j < weights.length; j++) total += values[at + j]! * weights[j]!;
  return total;
}

/** What one outcome depends on: a line, a crossing of user and item, and the two ids. */
class Teacher {
  readonly #columns: readonly Float32Array[];
  readonly #users: Float32Array;
  readonly #items: Float32Array;
  readonly #base: number;

  constructor(random: Random, base: number) {
    const { userWidth } = wideShape;
    const column = () => normals(random, userWidth, 1 / Math.sqrt(userWidth));
    this.#columns = [column(), column(), column(), column()];
    this.#users = normals(random, streamIds.users, 0.4);
    this.#items = normals(random, streamIds.items, 0.4);
    this.#base = base;
  }

  logit(stream: SampleStream, i: number): number {
    const [a, b, c, d] = this.#columns;
    const { userDense, itemDense, userRows, itemRows } = stream;
    const at = i * wideShape.userWidth;
    const line = dot(userDense, at, a!) + dot(itemDense, at, b!);
    const crossed = dot(userDense, at, c!) * dot(itemDense, at, d!);
    const ids = this.#users[userRows[i]!]! + this.#items[itemRows[i]!]!;
    return this.#base + 0.7 * line + 0.6 * crossed + ids;
  }
}

const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));

/** `count` samples of known chances: clicks, likes, finishes, conversions of clicks, seconds. */
export function drawStream(count: number, seed: number): SampleStream {
  const random = new Random(seed);
  const { userWidth, itemWidth, heads } = wideShape;
  const stream: SampleStream = {
    count,
    userRows: Uint32Array.from({ length: count }, () => random.int(streamIds.users)),
    itemRows: Uint32Array.from({ length: count }, () => random.int(streamIds.items)),
    userDense: normals(random, count * userWidth),
    itemDense: normals(random, count * itemWidth),
    labels: new Float32Array(count * heads.length),
  };
  const [click, like, finish, convert, watch] = [-1, -2, -1.5, -1, 1].map(
    (base) => new Teacher(random, base),
  );
  for (let i = 0; i < count; i++) {
    const happens = (teacher: Teacher) => random.next() < sigmoid(teacher.logit(stream, i));
    const clicked = happens(click!);
    const seconds = clicked ? Math.exp(1 + 0.5 * watch!.logit(stream, i)) : 0;
    const binary = [clicked, happens(like!), happens(finish!), clicked && happens(convert!)];
    stream.labels.set([...binary.map(Number), seconds], i * heads.length);
  }
  return stream;
}

/** The stream as the trainer takes it. */
export function samplesOf(stream: SampleStream): Sample[] {
  const { userWidth, itemWidth, heads } = wideShape;
  const part = (of: Float32Array, i: number, width: number) =>
    of.subarray(i * width, (i + 1) * width);
  return Array.from({ length: stream.count }, (_, i) => ({
    kind: "primary",
    position: 0,
    userRow: stream.userRows[i]!,
    itemRow: stream.itemRows[i]!,
    categoryRow: noRow,
    weight: 1,
    servedMs: i,
    emittedMs: i,
    requestId: noId,
    labels: part(stream.labels, i, heads.length),
    userDense: part(stream.userDense, i, userWidth),
    itemDense: part(stream.itemDense, i, itemWidth),
  }));
}

import { describe, expect, test } from "bun:test";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { Random } from "../core/random.ts";
import feed from "../definition/default.ts";
import kuairand from "../definition/examples/kuairand.ts";
import { rankerShapeOf } from "../ranking/definition-shape.ts";
import { createRanker, type Ranker, type RankerShape } from "../ranking/ranker.ts";
import { exportRanker, graphOf } from "./export.ts";
import { parseNote } from "./note.ts";
import { blockNames, type LayerOneForm } from "./ranker-graph.ts";

const mmoe = rankerShapeOf(feed);
const { start: _, ...plain } = mmoe;
const odd = { experts: 3, expertLayers: [19, 9, 5], towerLayers: [7, 3] };
const shapes: readonly [string, RankerShape][] = [
  ["the default mixture", mmoe],
  ["the mixture of the kuairand definition", rankerShapeOf(kuairand)],
  ["a shared bottom", { ...mmoe, model: "shared-bottom", experts: 1, expertLayers: [128, 64] }],
  ["PLE of two levels", { ...mmoe, model: "ple", experts: 2 }],
  ["PLE of one level", { ...mmoe, model: "ple", levels: 1, headExperts: 2, towerLayers: [] }],
  [
    "PLE of three levels and odd widths",
    { ...mmoe, ...odd, model: "ple", levels: 3, headExperts: 2, experts: 3 },
  ],
  ["widths that are no multiple of 16", { ...plain, ...odd, userEmbedding: 3, itemEmbedding: 5 }],
  ["one layer of experts, no towers", { ...mmoe, expertLayers: [16], towerLayers: [] }],
  ["no embeddings", { ...mmoe, userEmbedding: 0, itemEmbedding: 0 }],
  ["no user inputs", { ...plain, userWidth: 0, userEmbedding: 0 }],
];

function normals(count: number, random: Random, deviation: number): Float32Array {
  return Float32Array.from({ length: count }, () => deviation * random.normal());
}

/** Weights with no bias at zero and no scale at one. */
function weightsOf(ranker: Ranker, random: Random): Float32Array {
  const weights = new Float32Array(ranker.floats);
  ranker.initialise(random, weights);
  return weights.map((value) => value + 0.05 * random.normal());
}

interface Rows {
  readonly users: number;
  readonly candidates: number;
}

function inputsOf({ shape }: Ranker, { users, candidates }: Rows, random: Random) {
  return {
    userDense: normals(users * shape.userWidth, random, 2),
    userVector: normals(users * shape.userEmbedding, random, 1),
    itemDense: normals(candidates * shape.itemWidth, random, 2),
    itemVector: normals(candidates * shape.itemEmbedding, random, 1),
  };
}

type Inputs = ReturnType<typeof inputsOf>;

function native(ranker: Ranker, weights: Float32Array, inputs: Inputs, rows: Rows): Float32Array {
  const { users: userRows, candidates: count } = rows;
  const out = new Float32Array(count * ranker.headNames.length);
  const { itemVector: itemVectors, ...rest } = inputs;
  ranker.score({ weights, ...rest, itemVectors, count, userRows }, out);
  return out;
}

/** Head columns, as the native engine gives them. */
async function byOnnx(file: Uint8Array, heads: readonly string[], inputs: Inputs, rows: Rows) {
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1 });
  const feeds: Record<string, Tensor> = {};
  for (const part of ["userDense", "userVector", "itemDense", "itemVector"] as const) {
    const count = part.startsWith("user") ? rows.users : rows.candidates;
    const width = inputs[part].length / count;
    if (width > 0) feeds[blockNames[part]] = new Tensor("float32", inputs[part], [count, width]);
  }
  expect([...session.inputNames].sort()).toEqual(Object.keys(feeds).sort());
  expect([...session.outputNames]).toEqual([...heads]);
  const answers = await session.run(feeds);
  for (const name of heads) expect(answers[name]?.dims).toEqual([rows.candidates]);
  await session.release();
  return heads.flatMap((name) => Array.from(answers[name]?.data ?? [], Number));
}

function furthest(ours: Float32Array, theirs: readonly number[]): number {
  expect(theirs.length).toBe(ours.length);
  return theirs.reduce((worst, value, i) => {
    const difference = Math.abs(value - ours[i]!) / Math.max(1, Math.abs(value));
    return Number.isFinite(difference) ? Math.max(worst, difference) : Number.NaN;
  }, 0);
}

const cases: readonly [LayerOneForm, Rows][] = [
  ["split", { users: 1, candidates: 1 }],
  ["split", { users: 1, candidates: 173 }],
  ["split", { users: 40, candidates: 40 }],
  ["joined", { users: 40, candidates: 40 }],
];

describe("an exported ranker answers as the native engine", () => {
  test.each(shapes)("%s", async (_name, shape) => {
    const random = new Random(7);
    const ranker = createRanker(shape);
    const weights = weightsOf(ranker, random);
    for (const [form, rows] of cases) {
      const inputs = inputsOf(ranker, rows, random);
      const file = graphOf(ranker.layout, weights, form).finish();
      const ours = native(ranker, weights, inputs, rows);
      expect(ours.some((value) => value !== ours[0])).toBe(true);
      const theirs = await byOnnx(file, ranker.headNames, inputs, rows);
      expect(furthest(ours, theirs)).toBeLessThan(1e-5);
    }
  });
});

test("the note names features in the order of the columns, and is in the file as well", () => {
  const ranker = createRanker(mmoe);
  const weights = weightsOf(ranker, new Random(1));
  const { file, note } = exportRanker(feed, ranker.layout, { weights, version: 12 });
  expect(note).toMatchObject({ definition: "video-feed", model: 12, opset: 17 });
  const [userDense, userVector, itemDense] = note.inputs;
  expect(userDense).toMatchObject({ name: "user_dense", rows: "users" });
  expect(userDense?.features?.length).toBe(mmoe.userWidth);
  expect(userDense?.features?.[0]).toBe("user.1h.impressionCount");
  expect(userVector).toEqual({
    ...{ name: "user_embedding", rows: "users", block: "user_embedding", width: 16 },
  });
  expect(itemDense?.features?.at(-1)).toBe("item.vectorScore");
  expect(note.outputs.map(({ name, unit }) => `${name} ${unit}`)).toContain("watch seconds");
  const text = JSON.stringify(note);
  expect(parseNote("note", text)).toEqual(note);
  expect(Buffer.from(file).includes(text)).toBe(true);
});

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../../../models/core/random.ts";
import feed from "../../../models/definition/default.ts";
import type {
  RankingDefinition,
  RecommenderDefinition,
} from "../../../models/definition/define.ts";
import { exportRanker } from "../../../models/onnx/export.ts";
import { rankerShapeOf } from "../../../models/ranking/definition-shape.ts";
import { createRanker, type Ranker } from "../../../models/ranking/ranker.ts";
import { ModelSlots } from "../../../native/index.ts";
import { checkEngine, embeddingsFault, openRanker } from "../open-ranker.ts";
import type { ScoringRanker } from "../state.ts";
import { FileRanker } from "./file-ranker.ts";
import { SlotOnnxRanker } from "./slot-ranker.ts";

const folder = mkdtempSync(join(tmpdir(), "round-trip-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const models: readonly [string, Partial<RankingDefinition>][] = [
  ["mmoe", {}],
  ["shared-bottom", { model: "shared-bottom", experts: 1, expertLayers: [48, 24] }],
  ["ple", { model: "ple", experts: 2, headExperts: 2, levels: 2 }],
  ["hashed-ids", { itemIds: { kind: "hashed", rows: 100 }, itemEmbedding: 8 }],
];

function fill(ranker: Ranker, random: Random, out: Float32Array): void {
  ranker.initialise(random, out);
  for (let i = 0; i < out.length; i++) out[i]! += 0.05 * random.normal();
}

/** The largest difference from the native engine over some sizes of requests. */
function furthest(native: Ranker, other: ScoringRanker, weights: Float32Array): number {
  const { userWidth, itemWidth, userEmbedding, itemEmbedding } = native.shape;
  const random = new Random(5);
  const normals = (length: number) => Float32Array.from({ length }, () => random.normal());
  let worst = 0;
  for (const count of [1, 7, 200, 30]) {
    const inputs = {
      ...{ weights, count, userDense: normals(userWidth), userVector: normals(userEmbedding) },
      // As in a request's context, where arrays are as long as the most candidates need.
      itemDense: normals(300 * itemWidth),
      itemVectors: normals(300 * itemEmbedding),
    };
    const [ours, theirs] = [new Float32Array(1_500), new Float32Array(1_500)];
    native.score(inputs, ours);
    other.score(inputs, theirs);
    for (const [i, a] of ours.entries()) {
      worst = Math.max(worst, Math.abs(a - theirs[i]!) / Math.max(1, Math.abs(a)));
    }
  }
  return worst;
}

test.each(models)("%s: out as a file and in again, and from slots", (name, ranking) => {
  const definition: RecommenderDefinition = { ...feed, ranking: { ...feed.ranking, ...ranking } };
  const native = createRanker(rankerShapeOf(definition));
  const random = new Random(3);
  const slots = ModelSlots.create({ slots: 2, floats: native.floats, readers: 1 });
  const onnx = new SlotOnnxRanker(native.layout);
  for (const version of [1, 2, 3]) {
    const slot = slots.acquire();
    const weights = slots.weights(slot);
    fill(native, random, weights);
    slots.publish(slot, version);
    expect(furthest(native, onnx, weights)).toBeLessThan(1e-5);
    const path = join(folder, `${name}${version}.onnx`);
    const { file, note } = exportRanker(definition, native.layout, { weights, version });
    writeFileSync(path, file);
    writeFileSync(`${path}.json`, JSON.stringify(note));
    const again = new FileRanker(path, definition);
    expect(furthest(native, again, weights)).toBeLessThan(1e-5);
    again.close();
  }
  onnx.close();
});

test("a thread does not serve another file than the one that was checked", async () => {
  const path = join(folder, "mmoe1.onnx");
  const warn = () => {};
  const engine = await checkEngine(path, { definition: feed, warn });
  if (engine.kind !== "file") throw new Error("a path is a file");
  const opened = await openRanker(engine, feed);
  expect(opened.version).toBe(engine.version);
  const other = openRanker({ ...engine, version: engine.version - 1 }, feed);
  await expect(other).rejects.toThrow("is another model than at the start");
});

test("embeddings of another version than the file's are told", async () => {
  const warn = () => {};
  const engine = await checkEngine(join(folder, "mmoe2.onnx"), { definition: feed, warn });
  expect(embeddingsFault(engine, 2)).toBeNull();
  expect(embeddingsFault(engine, 3)).toContain("was exported from version 2, but the embeddings");
  expect(embeddingsFault({ kind: "native" }, 3)).toBeNull();
});

import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../../models/core/random.ts";
import feed from "../../models/definition/default.ts";
import { featureCatalog } from "../../models/features/catalog.ts";
import { parseNote } from "../../models/onnx/note.ts";
import { rankerShapeOf } from "../../models/ranking/definition-shape.ts";
import { createRanker } from "../../models/ranking/ranker.ts";
import { RankTrainer } from "../../models/training/trainer.ts";
import { FileRanker } from "../../workers/ranking/onnx/file-ranker.ts";
import { createSharedState } from "../../workers/shared-state.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { saveSnapshot } from "../history/save-snapshot.ts";
import { run } from "./export.ts";

const folder = mkdtempSync(join(tmpdir(), "export-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const ranker = createRanker(rankerShapeOf(feed));

function said() {
  let text = "";
  const write = (more: string) => {
    text += more;
  };
  return { write, text: () => text };
}

/** A data folder with one model; gives its weights. */
function savedModel(dataDir: string): Float32Array {
  const limits = { usersMax: 10, itemsMax: 10, categoriesMax: 4, userCategoryPairsMax: 16 };
  const state = createSharedState(feed, { dataDir: null, modelFloats: ranker.slotFloats, limits });
  const initial = new Float32Array(ranker.floats);
  ranker.initialise(new Random(3), initial);
  const random = new Random(4);
  for (let i = 0; i < initial.length; i++) initial[i]! += 0.03 * random.normal();
  const tables = { users: state.userEmbeddings, items: state.itemEmbeddings };
  const trainer = new RankTrainer(ranker, tables, initial);
  saveSnapshot(trainer, {
    ...{ dataDir, definition: feed, state, clock: systemClock, warn: () => {} },
  });
  state.release();
  return initial;
}

test("a snapshot becomes a file that scores as the native engine", async () => {
  const dataDir = join(folder, "data");
  const weights = savedModel(dataDir);
  const out = join(folder, "model.onnx");
  const io = said();
  expect(await run(["onnx", "--data-dir", dataDir, "--out", out], io)).toBe(0);
  expect(io.text()).toContain(`model version 1 in ${out}, opset 17`);
  const note = parseNote("note", readFileSync(`${out}.json`, "utf8"));
  expect(note.inputs[0]?.features).toEqual(featureCatalog(feed).userNames);
  const again = join(folder, "again.onnx");
  const snapshot = join(dataDir, "models", "0000000001.snap");
  expect(await run(["onnx", "--snapshot", snapshot, "--out", again], io)).toBe(0);
  expect(readFileSync(again).equals(readFileSync(out))).toBe(true);
  const file = new FileRanker(out, feed);
  const { userWidth, itemWidth, userEmbedding, itemEmbedding } = ranker.shape;
  const random = new Random(8);
  const normals = (length: number) => Float32Array.from({ length }, () => random.normal());
  const inputs = {
    ...{ weights, count: 9, userDense: normals(userWidth), userVector: normals(userEmbedding) },
    ...{ itemDense: normals(9 * itemWidth), itemVectors: normals(9 * itemEmbedding) },
  };
  const [ours, theirs] = [new Float32Array(9 * 5), new Float32Array(9 * 5)];
  ranker.score(inputs, ours);
  file.score(inputs, theirs);
  file.close();
  for (let i = 0; i < ours.length; i++) expect(theirs[i]!).toBeCloseTo(ours[i]!, 5);
});

test("names are listed, and what is missing is named", async () => {
  const io = said();
  expect(await run(["onnx", "--names"], io)).toBe(0);
  expect(io.text().split("\n")).toContain("userCategory.1h.clickRate");
  const empty = join(folder, "empty");
  mkdirSync(join(empty, "models"), { recursive: true });
  const broken = join(folder, "broken.snap");
  writeFileSync(broken, "no snapshot");
  const out = ["--out", join(folder, "x.onnx")];
  const cases: [string[], string][] = [
    [["pmml"], "export to what?"],
    [["onnx", "--data-dir", folder], "where to?"],
    [["onnx", ...out], "which model?"],
    [["onnx", "--data-dir", folder, "--out", "model.bin"], "--out is model.bin"],
    [["onnx", "--data-dir", join(folder, "none"), ...out], "there is no folder"],
    [["onnx", "--data-dir", empty, ...out], "no model in"],
    [["onnx", "--snapshot", broken, ...out], "no snapshot, or its beginning is lost"],
  ];
  for (const [args, message] of cases) await expect(run(args)).rejects.toThrow(message);
  const definition = "models/definition/examples/kuairand.ts";
  const snapshot = join(folder, "data", "models", "0000000001.snap");
  const other = ["onnx", "--snapshot", snapshot, "--definition", definition, ...out];
  await expect(run(other)).rejects.toThrow("is of another definition");
});

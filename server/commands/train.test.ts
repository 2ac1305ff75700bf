import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../../models/core/random.ts";
import feed from "../../models/definition/default.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { makeTrainerRole } from "../../workers/trainer/make.ts";
import { openStorage } from "../assembly/storage.ts";
import { run as evaluate } from "./evaluate.ts";
import { run as exportTo } from "./export.ts";
import { run as importHistory } from "./import.ts";
import { run as train } from "./train.ts";

const folder = mkdtempSync(join(tmpdir(), "train-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const from = Date.UTC(2026, 0, 5);

function said() {
  let text = "";
  const write = (more: string) => {
    text += more;
  };
  return { write, text: () => text };
}

/** Users of even number click, others do not. */
function writeHistory(): string {
  const random = new Random(5);
  const lines = Array.from({ length: 1_500 }, (_, i) => {
    const user = random.int(20);
    const shown = { user: `u${user}`, item: `i${random.int(30)}`, time: from + 60_000 * i };
    const events = [{ ...shown, type: "impression" }];
    if (user % 2 === 0) events.push({ ...shown, type: "click", time: shown.time + 500 });
    return events.map((event) => JSON.stringify(event));
  });
  const path = join(folder, "events.jsonl");
  writeFileSync(path, `${lines.flat().join("\n")}\n`);
  return folder;
}

test("a server starts with a model that was trained on its history", async () => {
  const path = writeHistory();
  const dataDir = join(folder, "data");
  const quiet = { write: () => {} };
  expect(await importHistory(["--format", "jsonl", path, "--data-dir", dataDir], quiet)).toBe(0);
  const out = said();
  const files = ["ranking", "--data", path, "--format", "jsonl", "--data-dir", dataDir];
  const options = ["--epochs", "3", "--rate", "0.003", "--user-ids", "5", "--draws", "0"];
  const until = ["--train-until", new Date(from + 60_000 * 1_200).toISOString()];
  expect(await train([...files, ...options, ...until], out)).toBe(0);
  expect(out.text()).toContain("1200 rows to train on, 300 to judge on");
  expect(out.text()).toContain("3600 samples learned, 0 refused, 0 steps skipped");
  expect(out.text()).toContain("model version 1 in");
  const storage = await openStorage({
    ...{ definition: feed, dataDir, eventLogUrl: "embedded:", durability: "fsync" },
    ...{ rankWorkers: 1, clock: systemClock, warn: () => {} },
  });
  try {
    const { log, state } = storage;
    await makeTrainerRole({
      ...{ definition: feed, state, log, dataDir, publishEvery: 100, seed: 9, warn: () => {} },
    });
    expect(state.slots.current().version).toBe(1);
    // The row of u0 in this folder holds what was learned of u0.
    const vector = new Float32Array(2 * feed.ranking.userEmbedding);
    const rows = Uint32Array.of(state.users.find("u0"), state.users.size);
    state.userEmbeddings.gather(rows, 2, 1, vector);
    expect(vector.subarray(0, 16).some((value) => value !== 0)).toBe(true);
    expect(vector.subarray(16).every((value) => value === 0)).toBe(true);
  } finally {
    await storage.close();
  }
  // A second one is a newer version; without a folder nothing is written.
  const again = said();
  const snapshot = join(folder, "model.snap");
  await train([...files, "--epochs", "1", "--out", snapshot], again);
  expect(again.text()).toContain("model version 2 in");
  expect(again.text()).toContain(`model in ${snapshot}`);
  const onnx = ["onnx", "--snapshot", snapshot, "--out", join(folder, "model.onnx")];
  expect(await exportTo(onnx, quiet)).toBe(0);
});

test("evaluate says the figures of every head as JSON", async () => {
  const out = said();
  expect(await evaluate(["ranking", "--smoke", "--json", "--epochs", "2"], out)).toBe(0);
  const { bench, figures } = JSON.parse(out.text());
  expect(bench).toBe("evaluate ranking");
  const heads = feed.heads.map(({ name }) => name);
  expect(heads.map((name) => figures[`${name}Rows`]?.value > 0)).toEqual(heads.map(() => true));
  const { value, low, high } = figures.ctrAuc;
  expect(low).toBeLessThan(value);
  expect(high).toBeGreaterThan(value);
  expect(value).toBeGreaterThan(0.65);
  const names = Object.keys(figures);
  const ofHead = (head: string) => names.filter((name) => name.startsWith(head));
  expect(ofHead("ctr")).toEqual(["ctrRows", "ctrAuc", "ctrGauc", "ctrLogloss", "ctrEce"]);
  expect(ofHead("watch")).toEqual(["watchRows", "watchMae", "watchXauc"]);
});

test("what is missing is named", async () => {
  const cases: [string[], string][] = [
    [["recall"], "what is to be evaluated?"],
    [["ranking"], "which history?"],
    [["ranking", "--data", folder], "--format is missing"],
    [["ranking", "--data", folder, "--train", folder], "which history?"],
    [["ranking", "--data", folder, "--train-until", "soon", "--format", "jsonl"], "is soon"],
    [["ranking", "--train", folder, "--format", "jsonl"], "no row is left to judge on"],
  ];
  for (const [args, message] of cases) await expect(evaluate(args)).rejects.toThrow(message);
});

import { expect, test } from "bun:test";
import definition from "../models/definition/examples/kuairand.ts";
import { syntheticHistory } from "../server/history/synthetic-history.ts";
import { runBench } from "./harness.ts";
import { toldBatches } from "./replay/batches.ts";
import { levelOf } from "./replay/level.ts";
import { bench } from "./replay.ts";

const definitionAt = ["--definition", "models/definition/examples/kuairand.ts"];

test("smoke: a server that lives through a history says what the offline run says", async () => {
  const lines: string[] = [];
  const args = ["--smoke", ...definitionAt, "--epochs", "2", "--hours", "24"];
  const run = await runBench(bench, args, (text) => void lines.push(text));
  const figures = run?.figures ?? {};
  const value = (name: string) => figures[name]?.value ?? Number.NaN;
  // The same model, precision and counters: only the answer's seven decimals differ.
  expect(value("predictionGapMaxWeightsFrozen")).toBeLessThan(1e-6);
  expect(value("clickAucWeightsFrozen")).toBe(value("clickAucOffline"));
  // What is not frozen moves: counters at once, weights once there were samples.
  expect(value("predictionGapMaxLive")).toBeGreaterThan(1e-4);
  expect(value("predictionGapMaxBothFrozen")).toBeGreaterThan(1e-3);
  expect(value("clickEceCountersFrozen")).not.toBe(value("clickEceBothFrozen"));
  expect(value("watchMaeWithoutOffOffline")).toBeLessThanOrEqual(value("watchMaeOffline"));
  expect(value("watchOffWeightsFrozen")).toBeCloseTo(value("watchOffOffline"), 6);
  expect(lines.join("")).toContain("AUC of click");
}, 60_000);

test("the level of a head of seconds is the median gap, and what its absence would leave", () => {
  const said = [0, 1, 2, 3, 9];
  const gaps = [0.5, 0.3, 0.1, -0.1, Number.NaN];
  const labels = said.map((log, row) => Math.expm1(log + gaps[row]!));
  const { off, maeWithout } = levelOf({ predictions: said.map(Math.expm1), labels });
  expect(off).toBeCloseTo(0.2, 10);
  expect(maeWithout).toBeCloseTo(0.2, 10);
});

test("arms that do not exist and definitions that count slates are refused", async () => {
  const smoke = (...args: string[]) => runBench(bench, ["--smoke", ...args], () => undefined);
  await expect(smoke(...definitionAt, "--arms", "frozen")).rejects.toThrow("--arms has no frozen");
  await expect(smoke()).rejects.toThrow('negatives are "served"');
});

test("batches hold every moment once, and one document an item", () => {
  const { ties } = syntheticHistory(definition, 1, 400);
  const said = ties.map((tie, i) => {
    const [row] = tie.rows;
    if (row === undefined) return tie;
    const document = { item: row.item, document: { durationSeconds: i % 3 } };
    return { ...tie, rows: [{ ...row, document }] };
  });
  const batches = [...toldBatches(said)];
  expect(batches.flatMap((batch) => batch.ties)).toEqual(said);
  expect(batches.length).toBeGreaterThan(1);
  for (const { ties: told, documents } of batches) {
    const texts = told.flatMap((tie) => tie.rows.map(({ document }) => JSON.stringify(document)));
    expect(new Set(texts).size).toBe(documents.length);
  }
});

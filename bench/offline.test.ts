import { expect, test } from "bun:test";
import { runBench } from "./harness.ts";
import { bench } from "./offline.ts";

test("smoke: figures of both models and their difference, on a made-up history", async () => {
  const lines: string[] = [];
  const definition = ["--definition", "models/definition/examples/kuairand.ts"];
  const run = await runBench(
    bench,
    ["--smoke", ...definition, "--epochs", "2", "--against", "shared-bottom,lightgbm"],
    (text) => void lines.push(text),
  );
  const figures = run?.figures ?? {};
  const value = (name: string) => figures[name]?.value ?? Number.NaN;
  expect(value("clickAucMmoe")).toBeGreaterThan(0.6);
  expect(value("watchXaucSharedBottom")).toBeGreaterThan(0.55);
  const difference = value("clickAucMmoe") - value("clickAucSharedBottom");
  expect(value("clickAucMmoeOverSharedBottom")).toBeCloseTo(difference, 10);
  const { low = 1, high = -1 } = figures.clickAucMmoeOverSharedBottom ?? {};
  expect(low).toBeLessThanOrEqual(difference);
  expect(high).toBeGreaterThanOrEqual(difference);
  const withPeer = (process.env.PEER_PYTHON ?? "") !== "";
  expect("clickAucLightgbm" in figures).toBe(withPeer);
  expect(lines.join("").includes("PEER_PYTHON")).toBe(!withPeer);
}, 120_000);

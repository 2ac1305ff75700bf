import { expect, test } from "bun:test";
import { bench } from "./background.ts";
import { runBench } from "./harness.ts";

test("bench background: one server trains and rebuilds, the other rests", async () => {
  const said: string[] = [];
  const output = await runBench(bench, ["--smoke"], (line) => said.push(line));
  const value = (name: string) => output?.figures[name]?.value ?? Number.NaN;
  expect(value("samplesPerSecond")).toBeGreaterThan(100);
  expect(value("generations")).toBeGreaterThan(0);
  expect(value("rebuildingShare")).toBeGreaterThan(0);
  expect(value("failed"), said.join("\n")).toBe(0);
  expect(value("p99RatioBackground")).toBeGreaterThan(0);
}, 180_000);

import { expect, test } from "bun:test";
import { runBench } from "./harness.ts";
import { bench } from "./swap.ts";

test("bench swap: models are swapped while slates are asked for", async () => {
  const said: string[] = [];
  const output = await runBench(bench, ["--smoke"], (line) => said.push(line));
  const value = (name: string) => output?.figures[name]?.value ?? Number.NaN;
  expect(value("samples")).toBeGreaterThan(100);
  expect(value("swaps")).toBeGreaterThan(0);
  // Of 120 slates: where all cores are taken a server may refuse some.
  expect(value("failed"), said.join("\n")).toBeLessThan(40);
  const other = said.filter((line) => /(slate|event): /.test(line) && !line.includes(": 503 "));
  expect(other).toEqual([]);
  expect(value("modelDecreased")).toBe(0);
  expect(value("p99RatioSwaps")).toBeGreaterThan(0);
  expect(value("memoryMbLast")).toBeGreaterThan(20);
  expect(value("memoryGrowthMb")).not.toBeNaN();
  expect(value("scoredAgain")).toBeGreaterThan(10);
  expect(value("mixed")).toBe(0);
}, 120_000);

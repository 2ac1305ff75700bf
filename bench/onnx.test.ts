import { expect, test } from "bun:test";
import { runBench } from "./harness.ts";
import { bench } from "./onnx.ts";

test("smoke: swaps are compared with the native engine, memory and cost are figures", async () => {
  const output = await runBench(bench, ["--smoke", "--json"], () => {});
  const value = (name: string) => output?.figures[name]?.value ?? Number.NaN;
  expect(value("swaps")).toBe(100);
  expect(value("swapsCompared")).toBe(10);
  expect(value("swapFurthest")).toBeGreaterThan(0);
  expect(value("swapFurthest")).toBeLessThanOrEqual(1e-5);
  // Weights that each of the 500 requests copied and kept would be 74 MB.
  expect(value("swapMemoryGrowthMb")).toBeLessThan(25);
  for (const name of ["Native", "Slot", "File"]) {
    expect(value(`scoreUs${name}`)).toBeGreaterThan(0);
    expect(value(`requestUs${name}`)).toBeGreaterThan(0);
  }
  expect(value("scoreVsPackage")).toBeGreaterThan(0);
}, 60_000);

import { expect, test } from "bun:test";
import { runBench } from "./harness.ts";
import { bench } from "./poison.ts";

test("bench poison: on a probe and on a virtual server", async () => {
  const output = await runBench(bench, ["--smoke", "--attacks", "nan,inverted"], () => undefined);
  const value = (name: string) => output?.figures[name]?.value ?? Number.NaN;
  expect(value("finiteShare")).toBe(1);
  expect(value("aucClean")).toBeGreaterThan(0.6);
  expect(Math.abs(value("aucLostNan"))).toBeLessThan(0.01);
  // What the guard is for shows without it.
  expect(value("aucLostInvertedUnguarded")).toBeGreaterThan(0.1);
  expect(value("aucLostInverted")).toBeLessThan(0.5 * value("aucLostInvertedUnguarded"));
  expect(value("honestPublishedHours2")).toBeGreaterThan(20);
  expect(value("honestRefusedHours10")).toBeLessThan(0.5 * value("honestPublishedHours10"));
  // Learned after the anchors have given in, it would cost a quarter of it.
  expect(value("aucLostSlowHours8")).toBeLessThan(0.1);
  expect(value("clickRateClean")).toBeGreaterThan(0);
  expect(Number.isFinite(value("clickRateChangeInverted"))).toBe(true);
}, 120_000);

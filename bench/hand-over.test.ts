import { expect, test } from "bun:test";
import { bench } from "./hand-over.ts";
import { runBench } from "./harness.ts";

test("every way to hand over answers what it was asked", async () => {
  const output = await runBench(bench, ["--smoke", "--work-us", "10"], () => {});
  for (const name of ["postMessage", "piscina", "ring"]) {
    expect(output?.figures[`${name}RequestsPerSecond`]?.value).toBeGreaterThan(0);
    const p50 = output?.figures[`${name}LatencyMsP50`]?.value ?? Number.NaN;
    expect(output?.figures[`${name}LatencyMsP99`]?.value).toBeGreaterThanOrEqual(p50);
  }
}, 30_000);

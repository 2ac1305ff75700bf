import { expect, test } from "bun:test";
import { ManualClock } from "../models/core/clock.ts";
import definition from "../models/definition/default.ts";
import type { Sample } from "../models/training/sample.ts";
import { VirtualServer } from "../server/assembly/virtual-server.ts";
import { Environment } from "../workers/simulator/environment.ts";
import { runVirtual } from "../workers/simulator/traffic.ts";
import { World } from "../workers/simulator/world.ts";
import { bench as drift } from "./drift.ts";
import { runBench } from "./harness.ts";
import { bench } from "./virtual-quality.ts";

test("bench quality, smoke, on the server itself", async () => {
  const output = await runBench(bench, ["--smoke"], () => {});
  const value = (name: string) => output?.figures[name]?.value ?? Number.NaN;
  expect(value("shareOfOracleLift")).toBeLessThan(1);
  // Even cold, after four minutes, live counters beat a random slate; without them nothing does.
  expect(value("clickRateServer")).toBeGreaterThan(value("clickRateRandom"));
  expect(value("clickRateServer")).toBeGreaterThan(value("clickRateBothFrozen"));
  expect(value("clickRateWeightsFrozen")).not.toBe(value("clickRateServer"));
  expect(value("clickRateWindowsFrozen")).not.toBe(value("clickRateServer"));
}, 60_000);

test("bench drift, smoke, on the server itself", async () => {
  const output = await runBench(drift, ["--smoke"], () => {});
  const value = (name: string) => output?.figures[name]?.value ?? Number.NaN;
  expect(value("clickRateEvery100")).toBeGreaterThan(0);
  expect(value("clickRateFrozen")).not.toBe(value("clickRateEvery100"));
  // So few samples make no model of 10,000.
  expect(value("clicksLostEvery10000")).toBeCloseTo(value("clicksLostFrozen"), 1);
}, 60_000);

async function liveFor(
  seconds: number,
  options: { frozen?: boolean; samplesThrough?: (sample: Sample) => Sample } = {},
) {
  const { frozen = false, samplesThrough } = options;
  const world = new World({ seed: 3, users: 60, items: 200 });
  const clock = new ManualClock(world.options.startMs);
  const changing = samplesThrough === undefined ? {} : { samplesThrough };
  const server = await VirtualServer.open({ definition, clock, seed: 3, ...changing });
  if (frozen) server.freezeWeights();
  const environment = new Environment({
    ...{ world, clock, recommender: server, sessionsPerSecond: 1, compareEvery: 0 },
  });
  await environment.publishItems();
  environment.start();
  await runVirtual({
    ...{ queue: environment.queue, clock, untilMs: world.options.startMs + 1_000 * seconds },
    advance: (timeMs) => server.advanceTo(timeMs),
  });
  const { version, swaps } = server.published();
  const losses = server.progressive().map(({ loss }) => loss);
  await server.close();
  const { slates, clicks, shown, failed } = environment.report.total();
  return { slates, clicks, shown, failed, version, swaps, losses };
}

test("a virtual server is a function of its seed, and learns unless it is frozen", async () => {
  const first = await liveFor(270);
  expect(first.failed).toBe(0);
  expect(first.shown).toBeGreaterThan(9 * first.slates);
  expect(first.swaps).toBeGreaterThan(5);
  // Samples that pass through unchanged are learned as if they had not.
  expect(await liveFor(270, { samplesThrough: (sample) => sample })).toEqual(first);
  expect(await liveFor(200, { frozen: true })).toMatchObject({ version: 1, swaps: 0 });
}, 30_000);

import { expect, test } from "bun:test";
import { runBench } from "./harness.ts";
import { bench as ingest } from "./ingest.ts";
import { bench as join } from "./join.ts";
import { bench as windows } from "./windows.ts";

test("bench windows, smoke: both parts count every event", async () => {
  const output = await runBench(windows, ["--smoke", "--json"], () => {});
  const value = (name: string) => output?.figures[name]?.value ?? Number.NaN;
  expect(value("eventsPerSecondThreeScopes")).toBeGreaterThan(0);
  expect(value("eventsPerSecondDefinition")).toBeGreaterThan(0);
  expect(value("checkpointBytes")).toBeGreaterThan(0);
  expect(value("workingSetToMemory")).toBeGreaterThan(3.5);
  expect(value("rowsBroughtBack")).toBeGreaterThan(1_000);
  expect(value("fullRowBytesCrowded")).toBeLessThan(value("fullRowBytes") / 3.5);
  expect(value("sequencesBroughtBack")).toBeGreaterThan(1_000);
  expect(value("sequenceBytesCrowded")).toBeLessThan(value("sequenceBytes") / 3.5);
}, 60_000);

test("bench join, smoke: every served item becomes a sample, conversions follow", async () => {
  const output = await runBench(join, ["--smoke", "--json"], () => {});
  const value = (name: string) => output?.figures[name]?.value ?? Number.NaN;
  expect(value("servedPerSecond")).toBeGreaterThan(0);
  expect(value("samples")).toBe(60_000);
  expect(value("liveItems")).toBeGreaterThan(39_000);
  expect(value("corrections")).toBeGreaterThan(0);
}, 60_000);

test("bench ingest, smoke: every event is durable and counts", async () => {
  const output = await runBench(ingest, ["--smoke", "--json"], () => {});
  const value = (name: string) => output?.figures[name]?.value ?? Number.NaN;
  expect(value("eventsPerSecondDurable")).toBeGreaterThan(0);
  expect(value("wakeUpMsP50")).toBeGreaterThan(0);
  expect(value("eventsPerSecondAcknowledged")).toBeGreaterThan(0);
  expect(value("cpuUsPerEventMain")).toBeGreaterThan(0);
}, 60_000);

import { expect, test } from "bun:test";
import { runBench } from "./harness.ts";
import { bench } from "./soak.ts";

test("bench soak: the load is answered, and what the server holds is read", async () => {
  const output = await runBench(bench, ["--smoke"], () => undefined);
  const value = (name: string) => output?.figures[name]?.value ?? Number.NaN;
  expect(value("requestsAnswered")).toBeGreaterThan(100);
  expect(value("requestsFailed")).toBe(0);
  expect(value("eventsAccepted")).toBeGreaterThan(100);
  expect(value("memoryMbLast")).toBeGreaterThan(20);
  expect(value("descriptorsLast")).toBeGreaterThan(5);
  expect(value("nativeObjectsLast")).toBeGreaterThan(5);
}, 120_000);

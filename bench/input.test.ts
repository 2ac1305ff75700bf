import { expect, test } from "bun:test";
import { runBench } from "./harness.ts";
import { bench } from "./input.ts";

test("bench input: every kind is refused by a whole server, and nothing changes", async () => {
  const output = await runBench(bench, ["--smoke"], () => undefined);
  expect(output?.figures.kinds?.value).toBeGreaterThanOrEqual(40);
  expect(output?.figures.changed?.value).toBe(0);
  expect(output?.figures.mainThreadMsMax?.value).toBeGreaterThan(0);
}, 120_000);

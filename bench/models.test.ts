import { expect, test } from "bun:test";
import { runBench } from "./harness.ts";
import { bench } from "./models.ts";

test("bench models: every kind of ranker is scored and passed through", async () => {
  const output = await runBench(bench, ["--smoke"], () => undefined);
  const figures = Object.entries(output?.figures ?? {});
  expect(figures).toHaveLength(18);
  for (const [name, { value }] of figures) expect(value, name).toBeGreaterThan(0);
}, 60_000);

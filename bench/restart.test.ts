import { expect, test } from "bun:test";
import { runBench } from "./harness.ts";
import { bench } from "./restart.ts";

test("a server is ready again from the whole log and after kill -9, of both sizes", async () => {
  const output = await runBench(bench, ["--smoke"], () => {});
  const value = (name: string) => output?.figures[name]?.value ?? Number.NaN;
  expect(value("eventsInLogLarge")).toBe(2 * value("eventsInLogSmall"));
  const names = ["wholeMs", "wholeCpuSeconds", "restartMsP50", "restartCpuSeconds"];
  for (const name of [...names, "restartMemoryMb"]) {
    expect(value(`${name}Small`)).toBeGreaterThan(0);
    expect(value(`${name}Large`)).toBeGreaterThan(0);
  }
  const ratio = value("restartMsP50Large") / value("restartMsP50Small");
  expect(value("restartRatio")).toBeCloseTo(ratio, 6);
}, 240_000);

import { expect, test } from "bun:test";
import { runBench } from "./harness.ts";
import { bench } from "./sequence.ts";

test("smoke: every arm beside none, on a made-up history", async () => {
  const lines: string[] = [];
  const definition = ["--definition", "models/definition/examples/kuairand.ts"];
  const run = await runBench(
    bench,
    ["--smoke", ...definition, "--epochs", "4"],
    (text) => void lines.push(text),
  );
  const figures = run?.figures ?? {};
  const withPeer = (process.env.PEER_PYTHON ?? "") !== "";
  expect(lines.join("").includes("PEER_PYTHON")).toBe(!withPeer);
  if (!withPeer) return expect(figures).toEqual({});
  const value = (name: string) => figures[name]?.value ?? Number.NaN;
  for (const arm of ["Native", "None", "Mean", "Attention", "AttentionContent"]) {
    expect(value(`clickAuc${arm}`), arm).toBeGreaterThan(0.55);
    if (arm === "Native" || arm === "None") continue;
    const difference = value(`watchMae${arm}`) - value("watchMaeNone");
    expect(value(`watchMae${arm}OverNone`)).toBeCloseTo(difference, 10);
  }
}, 240_000);

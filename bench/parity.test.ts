import { expect, test } from "bun:test";
import { runBench } from "./harness.ts";
import { bench } from "./parity.ts";

test("bench parity: every model beside PyTorch, or why not", async () => {
  const lines: string[] = [];
  const run = await runBench(bench, ["--smoke"], (text) => void lines.push(text));
  const figures = Object.entries(run?.figures ?? {});
  const withPeer = (process.env.PEER_PYTHON ?? "") !== "";
  expect(figures).toHaveLength(withPeer ? 40 : 0);
  expect(lines.join("").includes("PEER_PYTHON")).toBe(!withPeer);
  for (const [name, { value }] of figures) {
    expect(value, name).toBeLessThan(name.includes("After") ? 1e-3 : 1e-5);
  }
}, 240_000);

import { describe, expect, test } from "bun:test";
import { runBench } from "./harness.ts";
import { bench } from "./kernels.ts";

async function smoke() {
  const lines: string[] = [];
  const write = (text: string) => void lines.push(...text.trimEnd().split("\n"));
  const output = await runBench(bench, ["--smoke", "--json"], write);
  return { figures: output?.figures ?? {}, hash: lines.find((line) => line.startsWith("hash")) };
}

describe("bench kernels", () => {
  test("smoke: all families are there, and the same work gives the same results", async () => {
    const [first, second] = [await smoke(), await smoke()];
    for (const name of ["productLayerOne", "gateMix", "adam", "squareSum", "dotRows"]) {
      expect(first.figures[`${name}TwinUs`]?.value).toBeGreaterThan(0);
      expect(first.figures[`${name}BaseVsTwin`]?.value).toBeGreaterThan(0);
    }
    expect(first.figures.topKNativeVsTwin?.value).toBeGreaterThan(0);
    expect(first.figures.mmoeScoreBaseVsTwin?.value).toBeGreaterThan(0);
    expect(first.figures.graphRecall?.value).toBeGreaterThan(0.9);
    expect(first.hash).toMatch(/[0-9a-f]{8}/);
    expect(first.hash).toBe(second.hash);
    for (const { value } of Object.values(first.figures)) expect(value).toBeGreaterThan(0);
  }, 60_000);
});

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runBench } from "./harness.ts";
import { bench } from "./merge.ts";
import { overSeeds } from "./statistics.ts";

test("bench merge: what one run over the seeds would have said", async () => {
  const directory = mkdtempSync(join(tmpdir(), "recmaster-merge-"));
  const piece = (name: string, of: string, figures: Record<string, number>) => {
    const units = Object.entries(figures).map(([key, value]) => [key, { value, unit: "share" }]);
    const output = { bench: of, commit: "c", machine: "m", figures: Object.fromEntries(units) };
    const path = join(directory, name);
    writeFileSync(path, `said before\n${JSON.stringify(output)}\n`);
    return path;
  };
  const files = [
    piece("1", "drift", { rate: 0.1, only: 1 }),
    piece("2", "drift", { rate: 0.12 }),
    piece("3", "drift", { rate: 0.14 }),
  ];
  const quiet = () => undefined;
  const merged = await runBench(bench, files, quiet);
  expect(merged?.figures).toEqual({ rate: overSeeds([0.1, 0.12, 0.14], "share") });
  expect(merged?.figures.rate?.low).toBeLessThan(0.12);

  const other = piece("4", "poison", { rate: 0.1 });
  await expect(runBench(bench, [files[0]!, other], quiet)).rejects.toThrow("different");
  await expect(runBench(bench, [], quiet)).rejects.toThrow("no or");
  writeFileSync(other, "cut off\n");
  await expect(runBench(bench, [other], quiet)).rejects.toThrow("JSON line");
  rmSync(directory, { recursive: true });
});

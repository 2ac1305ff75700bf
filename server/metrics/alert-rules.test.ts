import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { metricHelp } from "../../workers/metrics.ts";

test("alerts ask for metrics that there are", () => {
  const path = join(import.meta.dir, "../../deployment/prometheus/rules.yml");
  const expressions = readFileSync(path, "utf8").match(/^ +expr: .*$/gm) ?? [];
  const names = expressions.flatMap((line) => line.match(/rec_[a-z_]+/g) ?? []);
  expect(names.length).toBeGreaterThan(8);
  for (const name of names) expect(Object.keys(metricHelp)).toContain(name);
});

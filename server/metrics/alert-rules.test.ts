import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { freshnessNames } from "../../workers/freshness.ts";
import { counterNames, gaugeNames, histogramNames } from "../../workers/metrics.ts";

const deployment = join(import.meta.dir, "../../deployment");
const rules = readFileSync(join(deployment, "prometheus/rules.yml"), "utf8");

/** Series of a rule's expression, with their labels: `x{a="b"}`. */
const asked = [...rules.matchAll(/rec_[a-z_]+(\{[^}]*\})?/g)].map(([series]) => series);

/** Whether a series that is exposed is one that is asked for; each histogram has quantiles. */
function isAskedBy(wanted: string, name: string): boolean {
  if (name.split("{")[0] !== wanted.split("{")[0]) return false;
  return [...wanted.matchAll(/([a-z]+)=~?"([^"]*)"/g)].every(([, label, values = ""]) => {
    const has = new RegExp(`[{,]${label}="(${values})"`).test(name);
    return has || label === "quantile";
  });
}

/** What the main thread reads when it is asked has its names where it is read. */
const figures = readFileSync(join(import.meta.dir, "../assembly/figures.ts"), "utf8");
const read = [...figures.matchAll(/"(rec_[a-z_]+)"/g)].map(([, name = ""]) => name);
const exposed = [...counterNames, ...histogramNames, ...gaugeNames, ...read];
const isThere = (wanted: string) => exposed.some((name) => isAskedBy(wanted, name));

test("alerts ask for metrics, and labels, that there are", () => {
  expect(asked.length).toBeGreaterThan(12);
  expect(asked.filter((wanted) => !isThere(wanted))).toEqual([]);
  expect(isThere('rec_freshness_ms{from="accepted",until="soon"}')).toBe(false);
});

test("every stage of an event's way has an alert, from both origins", () => {
  for (const names of Object.values(freshnessNames)) {
    for (const name of Object.values(names)) {
      const found = asked.some((wanted) => isAskedBy(wanted, name));
      expect({ name, found }).toEqual({ name, found: true });
    }
  }
});

test("the catalogue names metrics that there are", () => {
  const text = readFileSync(join(deployment, "README.md"), "utf8");
  const named = text.match(/rec_[a-z_]+/g) ?? [];
  expect(named.length).toBeGreaterThan(3);
  expect(named.filter((name) => !isThere(name))).toEqual([]);
});

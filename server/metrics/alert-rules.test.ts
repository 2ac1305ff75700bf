import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import definition from "../../models/definition/default.ts";
import { freshnessNames } from "../../workers/freshness.ts";
import { exposition } from "../assembly/figures.ts";
import { smallState } from "../check/simulation/simulated-server.ts";

const deployment = join(import.meta.dir, "../../deployment");
const rules = readFileSync(join(deployment, "prometheus/rules.yml"), "utf8");

/** Series of a rule's expression, with their labels: `x{a="b"}`. */
const asked = [...rules.matchAll(/rec_[a-z_]+(\{[^}]*\})?/g)].map(([series]) => series);

/** Whether a series that is exposed is one that is asked for. */
function isAskedBy(wanted: string, name: string): boolean {
  if (name.split("{")[0] !== wanted.split("{")[0]) return false;
  return [...wanted.matchAll(/([a-z]+)=~?"([^"]*)"/g)].every(([, label, values = ""]) => {
    return new RegExp(`[{,]${label}="(${values})"`).test(name);
  });
}

/** All series of `/metrics`. */
function exposedSeries(): string[] {
  const state = smallState(definition);
  try {
    const text = exposition(state, {
      ...{ modelVersion: 1, trains: true, indexGeneration: 1, queuedRequests: 0 },
      ...{ rankWorkersReplaced: 0, eventLogEnd: 0, samplesEnd: 0, progressive: [] },
      dedup: { ids: 0, ms: 0 },
      log: [{ topic: "events", partition: 0, startOffset: 0, endOffset: 0 }],
    });
    return [...text.matchAll(/^rec_\S+/gm)].map(([series]) => series);
  } finally {
    state.release();
  }
}

const exposed = exposedSeries();
const isThere = (wanted: string) => exposed.some((name) => isAskedBy(wanted, name));

test("alerts ask for metrics, and labels, that there are", () => {
  expect(asked.length).toBeGreaterThan(12);
  expect(asked.filter((wanted) => !isThere(wanted))).toEqual([]);
  expect(isThere('rec_freshness_ms{from="accepted",until="soon"}')).toBe(false);
});

test("every stage of an event's way has an alert, from both origins", () => {
  for (const names of Object.values(freshnessNames)) {
    for (const name of Object.values(names)) {
      const found = asked.some((wanted) => isAskedBy(wanted.replace(/,quantile=.*}/, "}"), name));
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

import { expect, test } from "bun:test";
import { simulate } from "./simulate.ts";

test("crashes and a failing disk leave what a run without faults leaves", async () => {
  const met = new Map<string, number>();
  for (let seed = 1; seed <= 5; seed++) {
    const report = await simulate({ seed, events: 3_000 });
    expect({ seed, differences: report.differences.shown }).toEqual({ seed, differences: [] });
    for (const [what, times] of report.met) met.set(what, (met.get(what) ?? 0) + times);
  }
  // It met what it is there for.
  const times = (what: string) => met.get(what) ?? 0;
  expect(times("kills") + times("power losses")).toBeGreaterThan(3);
  for (const role of ["windows", "joiner", "trainer"]) {
    expect(times(`deaths of ${role}`)).toBeGreaterThan(0);
  }
  for (const rows of ["counters", "sequences", "aggregates"]) {
    expect(times(`rows of ${rows} moved out`)).toBeGreaterThan(1_000);
    expect(times(`rows of ${rows} brought back`)).toBeGreaterThan(1_000);
  }
  expect(times("records twice in the log")).toBeGreaterThan(0);
  expect(times("events sent twice")).toBeGreaterThan(0);
  expect(times("served rows checked")).toBeGreaterThan(300);
  expect(times("samples learned")).toBeGreaterThan(300);
}, 60_000);

test("records that come too late get nothing that was decided, and that is counted", async () => {
  const { met, differences } = await simulate({ seed: 21, events: 4_000 });
  expect(differences.shown).toEqual([]);
  expect(met.get("slates read late")).toBeGreaterThan(0);
  expect(met.get("interactions decided early")).toBeGreaterThan(0);
}, 60_000);

test("two threads a role share partitions of users, and one's death touches its own", async () => {
  const met = new Map<string, number>();
  for (let seed = 1; seed <= 3; seed++) {
    const report = await simulate({ seed, events: 2_000, partitions: 3 });
    expect({ seed, differences: report.differences.shown }).toEqual({ seed, differences: [] });
    for (const [what, times] of report.met) met.set(what, (met.get(what) ?? 0) + times);
  }
  const times = (what: string) => met.get(what) ?? 0;
  for (const role of ["windows1", "joiner1"]) {
    expect(times(`deaths of ${role}`)).toBeGreaterThan(0);
  }
  expect(times("served rows checked")).toBeGreaterThan(100);
  expect(times("samples learned")).toBeGreaterThan(100);
}, 60_000);

test("a seed repeats itself", async () => {
  const once = await simulate({ seed: 11, events: 1_000 });
  const again = await simulate({ seed: 11, events: 1_000 });
  expect([...again.met]).toEqual([...once.met]);
}, 60_000);

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import definition from "../../models/definition/default.ts";
import { isLate } from "../../models/features/window.ts";
import { limits } from "../../models/limits.ts";
import { encodeServed } from "../../models/training/served.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { makeWindowsRole } from "../../workers/windows/make.ts";
import { fakeServed } from "../../workers/windows/stream.fake.ts";
import { openStorage } from "../assembly/storage.ts";
import { run } from "../commands/check.ts";
import type { LateReport } from "./late.ts";

const hourMs = 3_600_000;
const warn = () => {};

/** A folder whose windows met clicks and a slate of now, and then those of `agesMs` before. */
async function fill(dataDir: string, agesMs: readonly number[]): Promise<number> {
  const nowMs = systemClock.nowMs();
  const stores = { dataDir, eventLogUrl: "embedded:", durability: "async" as const };
  const storage = await openStorage({
    ...{ definition, ...stores, rankWorkers: 1, clock: systemClock, warn },
  });
  const { ingest, log, state } = storage;
  for (const [i, ageMs] of [0, 5_000, ...agesMs].entries()) {
    const value = { type: "click", user: `u${i}`, item: "one item", time: nowMs - ageMs };
    await ingest.events.ingest([{ value }], null);
  }
  for (const ageMs of [0, 2 * hourMs]) {
    const slate = { user: 0, items: [0], request: `r${ageMs}`, timeMs: nowMs - ageMs };
    await log.append("served", 0, [encodeServed(fakeServed(slate))]);
  }
  const role = await makeWindowsRole({
    ...{ definition, state, log, dataDir, clock: systemClock, warn },
  });
  while (!role.caughtUp) await role.step();
  await role.close();
  await storage.close();
  state.release();
  return nowMs;
}

async function checkLate(...args: readonly string[]): Promise<{ text: string; code: number }> {
  const lines: string[] = [];
  const code = await run(["late", ...args], (text) => void lines.push(text));
  return { text: lines.join(""), code };
}

test("check late: how much, from where, how late, for which windows, and the newest", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "recmaster-late-"));
  const agesMs = [3 * hourMs, 49 * hourMs, 50 * hourMs];
  const nowMs = await fill(dataDir, agesMs);
  const { text, code } = await checkLate("--data-dir", dataDir, "--newest", "2", "--json");
  rmSync(dataDir, { recursive: true });
  expect(code).toBe(0);
  const report: LateReport = JSON.parse(text.trimEnd().split("\n").at(-1) ?? "");

  expect(report).toMatchObject({ records: 4, dropped: 0 });
  const watermarkMs = nowMs - limits.maxDisorderMs;
  const timesMs = [...agesMs, 2 * hourMs].map((ageMs) => nowMs - ageMs);
  for (const { name, paneMs } of definition.windows) {
    const missed = timesMs.filter((timeMs) => isLate(timeMs, paneMs, watermarkMs)).length;
    expect(report.windows).toContainEqual(
      expect.objectContaining({ window: name, records: missed }),
    );
  }
  expect(report.windows[0]?.scopes).toContain("item");
  const [events, slates] = report.sources;
  expect(events).toMatchObject({ source: "events/0", records: 3 });
  expect(events?.behind.msMax).toBe(50 * hourMs - limits.maxDisorderMs);
  const middle = 49 * hourMs - limits.maxDisorderMs;
  expect(Math.abs((events?.behind.msP50 ?? 0) / middle - 1)).toBeLessThan(0.03);
  expect(slates).toMatchObject({ source: "served/0", records: 1 });

  // Each clicked in turn, so the oldest came last.
  expect(report.newest).toHaveLength(2);
  const clicked = report.newest.find(({ source }) => source === "events/0");
  expect(clicked).toMatchObject({ offset: 4, timeMs: nowMs - 50 * hourMs });
  expect(clicked?.missed).toEqual(definition.windows.map(({ name }) => name));
  expect(clicked?.record?.what).toBe('click of "one item" by "u4"');
  expect(text).toContain("4 events and slates were late");
  expect(text).toContain('events/0 4: click of "one item" by "u4"');
}, 30_000);

test("check late --help says what it prints", async () => {
  const { text } = await checkLate("--help");
  expect(text).toContain("check late [options]");
  expect(text).toContain("--newest");
});

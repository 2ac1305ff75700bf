import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import definition from "../../models/definition/default.ts";
import { until } from "../../workers/loop.ts";
import { counterNames } from "../../workers/metrics.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { checkSkew } from "../check/check-skew.ts";
import { checkState } from "../check/check-state.ts";
import { readConfig } from "../config.ts";
import { startServer } from "./running.ts";
import { openStorage } from "./storage.ts";

const root = mkdtempSync(join(tmpdir(), "rec-partitions-"));
afterAll(() => rmSync(root, { recursive: true }));
const silent = () => undefined;
const quiet = { debug: silent, info: silent, warn: silent, error: silent };
const environment = {
  ...{ DATA_DIR: join(root, "data"), PORT: "0", RANK_WORKERS: "2" },
  ...{ LOG_PARTITIONS: "3", WINDOW_WORKERS: "2", JOINER_WORKERS: "3", JOINER_EMIT_AFTER_MS: "100" },
  // Far fewer than there are users and items: all leave memory and come back.
  ROWS_IN_MEMORY: "4",
};
const start = (more = {}) =>
  startServer(readConfig({ environment: { ...environment, ...more } }), quiet);

async function post(url: string, body: unknown): Promise<Record<string, unknown>> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text}`);
  return JSON.parse(text);
}

/** Slates of known, new and unnamed users, and events that follow some of them. */
async function traffic(url: string, rounds: number): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    const user = `u${i % 17}`;
    const asked = i % 5 === 0 ? { recent: [{ item: `i${i % 40}`, type: "click" }] } : { user };
    const { requestId, items } = await post(`${url}/v1/recommend`, { ...asked, n: 5 });
    const [first] = Array.isArray(items) ? items : [];
    const item = first?.id ?? `i${i % 40}`;
    const events = ["click", "like"].map((type) => ({ type, user, item, requestId }));
    await post(`${url}/v1/events`, events);
  }
}

test("windows threads share the partitions of a folder, which keeps them", async () => {
  const server = await start();
  await server.ready(60_000);
  const item = (i: number) => ({ id: `i${i}`, categories: [`c${i % 3}`] });
  await post(
    `${server.url}/v1/items`,
    Array.from({ length: 40 }, (_, i) => item(i)),
  );
  await traffic(server.url, 120);
  const { state, log } = server.storage;
  expect(state.partials).toHaveLength(3);
  expect(log.partitions("served")).toBe(6);
  for (const { usage } of [state.recent, state.seen]) {
    expect([usage.inMemory, usage.evicted]).toEqual([4, 0]);
    expect(usage.broughtBack).toBeGreaterThan(20);
  }
  // The windows tell of it after each step.
  const reached = counterNames.indexOf('rec_limit_reached_total{limit="rowsInMemoryMax"}');
  await until("rows in the metrics", 30_000, () => state.metrics.read().counters[reached]! > 20);
  await server.stop();

  const dataDir = environment.DATA_DIR;
  const storage = await openStorage({
    ...{ definition, dataDir, eventLogUrl: "embedded:", durability: "async" },
    ...{ rankWorkers: 1, clock: systemClock, warn: silent },
  });
  try {
    const { differences, records } = await checkState({ storage, dataDir, warn: silent });
    expect(differences.shown).toEqual([]);
    expect(records.events).toBe(240);
    const skew = await checkSkew({ log: storage.log, definition });
    expect(skew.differences.shown).toEqual([]);
    expect(skew.differing + skew.unexplained).toBe(0);
    expect(skew.rows).toBeGreaterThan(500);
  } finally {
    await storage.close();
    storage.state.release();
  }

  const refused = (more: Record<string, string>) => start(more).catch((thrown) => thrown);
  const otherwise = await refused({ LOG_PARTITIONS: "2" });
  expect(otherwise.code).toBe("REC_DATA_DIR_PARTITIONS");
  expect(otherwise.message).toContain("made with 3");
  const tooMany = await refused({ LOG_PARTITIONS: "", WINDOW_WORKERS: "4" });
  expect(tooMany.message).toContain("WINDOW_WORKERS is 4");
}, 120_000);

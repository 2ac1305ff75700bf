import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isRecord } from "../../models/core/schema.ts";
import { freshnessNames } from "../../workers/freshness.ts";
import { histogramNames } from "../../workers/metrics.ts";
import { readConfig } from "../config.ts";
import { startServer } from "./running.ts";

const dataDir = mkdtempSync(join(tmpdir(), "rec-freshness-"));
afterAll(() => rmSync(dataDir, { recursive: true }));
const silent = () => undefined;
const quiet = { debug: silent, info: silent, warn: silent, error: silent };

async function post(url: string, body: unknown): Promise<unknown> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return await answer.json();
}

test("each stage of an event is counted, from the event and from its acceptance", async () => {
  const environment = {
    ...{ DATA_DIR: dataDir, PORT: "0", RANK_WORKERS: "1", PUBLISH_EVERY: "20" },
    JOINER_EMIT_AFTER_MS: "100",
  };
  const server = await startServer(readConfig({ environment }), quiet);
  await server.ready(60_000);
  const items = Array.from({ length: 60 }, (_, i) => ({ id: `i${i}`, categories: [`c${i % 3}`] }));
  await post(`${server.url}/v1/items`, items);
  const names = Object.values(freshnessNames).flatMap(({ accepted, event }) => [accepted, event]);
  const { metrics } = server.storage.state;
  const missing = () => {
    const { histograms } = metrics.read();
    return names.filter((name) => (histograms[histogramNames.indexOf(name)]?.count ?? 0) === 0);
  };
  const eventAgeMs = 5_000;
  const untilMs = performance.now() + 60_000;
  for (let i = 0; missing().length > 0 && performance.now() < untilMs; i++) {
    const user = `u${i % 30}`;
    const slate = await post(`${server.url}/v1/recommend`, { user, n: 10 });
    const shown = isRecord(slate) && Array.isArray(slate.items) ? slate.items[0] : null;
    if (!isRecord(slate) || !isRecord(shown)) continue;
    const click = { type: "click", user, item: shown.id, requestId: slate.requestId };
    await post(`${server.url}/v1/events`, [{ ...click, time: Date.now() - eventAgeMs }]);
  }
  expect(missing()).toEqual([]);
  const { histograms } = metrics.read();
  const medianOf = (name: (typeof names)[number]) =>
    histograms[histogramNames.indexOf(name)]!.quantile(0.5);
  for (const { accepted, event } of Object.values(freshnessNames)) {
    // Buckets are right to two per cent.
    expect(medianOf(event)).toBeGreaterThan(0.95 * eventAgeMs);
    expect(medianOf(event)).toBeGreaterThan(medianOf(accepted));
  }
  expect(await server.stop()).toBe(true);
}, 120_000);

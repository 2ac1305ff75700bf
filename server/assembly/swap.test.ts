import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeServed } from "../../models/training/served.ts";
import { recordOf } from "../../workers/stores/event-log.ts";
import { readConfig } from "../config.ts";
import { startServer } from "./running.ts";
import { scoredAgain } from "./testing/scored-again.ts";

const dataDir = mkdtempSync(join(tmpdir(), "rec-swap-"));
afterAll(() => rmSync(dataDir, { recursive: true }));
const silent = () => undefined;
const quiet = { debug: silent, info: silent, warn: silent, error: silent };
const engines = ["native", "onnx"] as const;

async function post(url: string, body: unknown): Promise<Record<string, unknown>> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text}`);
  return JSON.parse(text);
}

test.each(engines)(
  "while models are swapped, a slate's heads are its version's: %s",
  async (engine) => {
    const environment = {
      ...{ DATA_DIR: join(dataDir, engine), PORT: "0", RANK_WORKERS: "1", PUBLISH_EVERY: "100" },
      RANK_ENGINE: engine,
      JOINER_EMIT_AFTER_MS: "100",
    };
    const server = await startServer(readConfig({ environment }), quiet);
    await server.ready(60_000);
    const categories = ["drama", "war", "noir"];
    const item = (i: number) => ({ id: `i${i}`, categories: [categories[i % 3]!] });
    await post(
      `${server.url}/v1/items`,
      Array.from({ length: 300 }, (_, i) => item(i)),
    );
    const versions = new Set<number>();
    let checked = 0;
    const { log } = server.storage;
    for (let i = 0, offset = 0; i < 4_000 && !(checked >= 60 && versions.size >= 4); i++) {
      const slate = await post(`${server.url}/v1/recommend`, { user: `u${i % 50}`, n: 20 });
      const click = { type: "click", user: `u${i % 50}`, item: `i${i % 300}` };
      if (i % 4 === 0)
        await post(`${server.url}/v1/events`, [{ ...click, requestId: slate.requestId }]);
      if (log.endOffset("served", 0) <= offset) continue;
      const batch = await log.read("served", 0, offset, 1 << 22);
      offset += batch.count;
      const record = decodeServed(recordOf(batch, batch.count - 1));
      const off = scoredAgain(server.storage.state, record, engine === "native");
      if (off === null) continue;
      expect(off).toBeLessThan(5e-6);
      versions.add(record.modelVersion);
      checked++;
    }
    expect(checked).toBeGreaterThanOrEqual(60);
    expect(versions.size).toBeGreaterThanOrEqual(4);
    expect(await server.stop()).toBe(true);
  },
  120_000,
);

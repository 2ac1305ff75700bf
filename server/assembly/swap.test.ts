import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noRow } from "../../models/core/bytes.ts";
import recommender from "../../models/definition/default.ts";
import { limits } from "../../models/limits.ts";
import { rankerShapeOf } from "../../models/ranking/definition-shape.ts";
import { createRanker } from "../../models/ranking/ranker.ts";
import { decodeServed, type ServedRecord } from "../../models/training/served.ts";
import { recordOf } from "../../workers/stores/event-log.ts";
import { readConfig } from "../config.ts";
import { type RunningServer, startServer } from "./running.ts";

const dataDir = mkdtempSync(join(tmpdir(), "rec-swap-"));
afterAll(() => rmSync(dataDir, { recursive: true }));
const silent = () => undefined;
const quiet = { debug: silent, info: silent, warn: silent, error: silent };
const shape = rankerShapeOf(recommender);
const ranker = createRanker(shape);
const heads = shape.heads.length;
const engines = ["native", "onnx"] as const;

async function post(url: string, body: unknown): Promise<Record<string, unknown>> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text}`);
  return JSON.parse(text);
}

/** A reader number that no ranking thread has. */
const reader = limits.readersMax - 1;

/**
 * The heads of a slate by the model version that it names and the features that it was ranked
 * with; null where another version is live by now: of that one alone a pin keeps the rows.
 */
function scoredAgain(
  { storage }: RunningServer,
  engine: (typeof engines)[number],
  record: ServedRecord,
): Float32Array | null {
  const { slots, userEmbeddings, itemEmbeddings } = storage.state;
  const { modelVersion, items, userDense, itemDense } = record;
  const slot = slots.pin(reader);
  if (slots.version(slot) !== modelVersion) {
    slots.unpin(reader);
    return null;
  }
  const count = items.length;
  const user = Int32Array.of(record.userRow === noRow ? -1 : record.userRow);
  const userVector = new Float32Array(shape.userEmbedding);
  const itemVectors = new Float32Array(count * shape.itemEmbedding);
  userEmbeddings.gather(user, 1, modelVersion, userVector);
  itemEmbeddings.gather(items, count, modelVersion, itemVectors);
  const out = new Float32Array(heads * count);
  const weights = slots.weights(slot);
  const inputs = { weights, userDense, itemDense, userVector, itemVectors, count };
  if (engine === "native") ranker.scoreSlot(inputs, out);
  else ranker.score(inputs, out);
  slots.unpin(reader);
  return out;
}

function expectSameHeads(record: ServedRecord, again: Float32Array): void {
  const count = record.items.length;
  for (let i = 0; i < count; i++) {
    for (let h = 0; h < heads; h++) {
      expect(again[h * count + i]!).toBeCloseTo(record.heads[i * heads + h]!, 5);
    }
  }
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
      const again = record.modelVersion > 0 ? scoredAgain(server, engine, record) : null;
      if (again === null) continue;
      expectSameHeads(record, again);
      versions.add(record.modelVersion);
      checked++;
    }
    expect(checked).toBeGreaterThanOrEqual(60);
    expect(versions.size).toBeGreaterThanOrEqual(4);
    expect(await server.stop()).toBe(true);
  },
  120_000,
);

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeServed } from "../../models/training/served.ts";
import { type RunningServer, startServer } from "../../server/assembly/running.ts";
import { scoredAgain } from "../../server/assembly/testing/scored-again.ts";
import { readConfig } from "../../server/config.ts";
import { recordOf } from "../../workers/stores/event-log.ts";
import { httpRequest, LoadClient } from "../open-loop.ts";
import { seedServer } from "../seeding.ts";

export interface ScoredAgainSizes {
  readonly items: number;
  readonly users: number;
  readonly ratePerSecond: number;
  readonly slate: number;
  readonly seconds: number;
  readonly seed: number;
}

export interface ScoredAgain {
  /** Slates scored again while their version was live, by how many versions. */
  readonly slates: number;
  readonly versions: number;
  /** Slates that no model scored in time: their record says so, and there is nothing to compare. */
  readonly unscored: number;
  /** Those whose heads differed, and the largest difference. */
  readonly mixed: number;
  readonly furthest: number;
}

const silent = () => undefined;
const quiet = { debug: silent, info: silent, warn: silent, error: silent };
/** Rounding of sums whose order may differ with the number of rows. */
const tolerance = 5e-6;

/**
 * A server in this process, so that its slots and rows can be read: slates are asked for while it
 * swaps, and each that is found in the log while its version still answers is scored again.
 */
export async function scoreAgain(sizes: ScoredAgainSizes): Promise<ScoredAgain> {
  const dataDir = mkdtempSync(join(tmpdir(), "recmaster-swap-"));
  const environment = {
    ...{ DATA_DIR: dataDir, PORT: "0", RANK_WORKERS: "1", PUBLISH_EVERY: "100" },
    JOINER_EMIT_AFTER_MS: "500",
  };
  const server = await startServer(readConfig({ environment }), quiet);
  try {
    await server.ready(60_000);
    await seedServer(server.port, { ...sizes, eventsPerUser: 3 });
    return await watch(server, sizes);
  } finally {
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function watch(server: RunningServer, sizes: ScoredAgainSizes): Promise<ScoredAgain> {
  const { ratePerSecond, seconds, slate, users } = sizes;
  const { log, state } = server.storage;
  const client = new LoadClient({ port: server.port });
  await client.open(32);
  const versions = new Set<number>();
  const found = { slates: 0, unscored: 0, mixed: 0, furthest: 0 };
  const startMs = performance.now();
  let offset = log.endOffset("served", 0);
  for (let sent = 0; performance.now() - startMs < seconds * 1_000; ) {
    for (; sent < ((performance.now() - startMs) / 1_000) * ratePerSecond; sent++) {
      const body = { user: `u${sent % users}`, n: slate };
      client.send(httpRequest("POST", "/v1/recommend", body), performance.now(), () => undefined);
    }
    await Bun.sleep(1);
    if (log.endOffset("served", 0) <= offset) continue;
    const batch = await log.read("served", 0, offset, 1 << 20);
    offset += batch.count;
    for (let i = 0; i < batch.count; i++) {
      const record = decodeServed(recordOf(batch, i));
      if (record.modelVersion === 0) {
        found.unscored++;
        continue;
      }
      const off = scoredAgain(state, record, true);
      if (off === null) continue;
      versions.add(record.modelVersion);
      found.slates++;
      if (!(off < tolerance)) found.mixed++;
      found.furthest = Math.max(found.furthest, off);
    }
  }
  client.close();
  return { ...found, versions: versions.size };
}

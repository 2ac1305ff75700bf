import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../models/core/random.ts";
import definition from "../models/definition/default.ts";
import { openStorage } from "../server/assembly/storage.ts";
import { systemClock } from "../workers/system-clock.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { startServer } from "./server-process.ts";
import { percentile } from "./statistics.ts";

const batchSize = 5_000;
const categories = 50;

interface Sizes {
  readonly events: number;
  readonly users: number;
  readonly items: number;
  readonly seed: number;
}

/** Documents and events of the last hour, through the server's own ingest. */
async function fill(dataDir: string, sizes: Sizes): Promise<void> {
  const stores = { dataDir, eventLogUrl: "embedded:", durability: "async" as const };
  const storage = await openStorage({
    ...{ definition, ...stores, rankWorkers: 1, clock: systemClock, warn: () => {} },
  });
  const random = new Random(sizes.seed);
  const { events, documents } = storage.ingest;
  for (let from = 0; from < sizes.items; from += batchSize) {
    const count = Math.min(batchSize, sizes.items - from);
    const puts = Array.from({ length: count }, (_, i) => ({
      id: `i${from + i}`,
      document: { title: `item ${from + i}`, categories: [`c${random.int(categories)}`] },
    }));
    await documents.put("item", puts);
  }
  const types = ["click", "like", "finish", "impression"];
  const startMs = systemClock.nowMs() - 3_600_000;
  for (let from = 0; from < sizes.events; from += batchSize) {
    const batch = Array.from({ length: Math.min(batchSize, sizes.events - from) }, (_, i) => ({
      value: {
        ...{ id: `e${from + i}`, type: types[random.int(types.length)] },
        user: `u${Math.floor(sizes.users * random.next() ** 2)}`,
        item: `i${Math.floor(sizes.items * random.next() ** 2)}`,
        time: Math.floor(startMs + (3_600_000 * (from + i)) / sizes.events),
      },
    }));
    await events.ingest(batch, null);
  }
  await storage.close();
}

async function run({ options, smoke, seed, say }: BenchContext): Promise<Record<string, Figure>> {
  const of = (name: string, tiny: number) => (smoke ? tiny : options.number(name));
  const events = of("events", 20_000);
  const sizes = { events, users: of("users", 500), items: of("items", 500), seed };
  const dataDir = mkdtempSync(join(tmpdir(), "recmaster-restart-"));
  const rounds = smoke ? 1 : options.number("rounds");
  try {
    await fill(dataDir, sizes);
    say(`${events} events are in the log; no checkpoint was written`);
    const bare = await starts(dataDir, rounds, say);
    // A stop by SIGTERM writes the checkpoints.
    await (await startServer({ dataDir })).stop();
    say("checkpoints were written");
    const saved = await starts(dataDir, rounds, say);
    return {
      eventsInLog: { value: events, unit: "events" },
      restartMsP50: { value: percentile(bare, 0.5), unit: "ms" },
      restartMsMax: { value: Math.max(...bare), unit: "ms" },
      restartMsP50Checkpoint: { value: percentile(saved, 0.5), unit: "ms" },
      restartMsMaxCheckpoint: { value: Math.max(...saved), unit: "ms" },
    };
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** Milliseconds until each of so many starts was ready; each is ended by kill -9. */
async function starts(
  dataDir: string,
  rounds: number,
  say: BenchContext["say"],
): Promise<number[]> {
  const readyMs: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const server = await startServer({ dataDir });
    readyMs.push(server.readyMs);
    say(`ready after ${server.readyMs.toFixed(0)} ms`);
    await server.kill();
  }
  return readyMs;
}

export const bench: Bench = {
  name: "restart",
  about: "How long a start takes on a log of a million events, without checkpoints and with.",
  options: {
    events: { kind: "number", help: "events in the log", default: 1_000_000, min: 1 },
    users: { kind: "number", help: "users", default: 100_000, min: 1 },
    items: { kind: "number", help: "items", default: 100_000, min: 1 },
    rounds: { kind: "number", help: "starts, each ended by kill -9", default: 3, min: 1 },
  },
  run,
};

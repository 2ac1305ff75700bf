import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "../models/core/assert.ts";
import { Random } from "../models/core/random.ts";
import definition from "../models/definition/default.ts";
import { openStorage } from "../server/assembly/storage.ts";
import { until } from "../workers/loop.ts";
import { systemClock } from "../workers/system-clock.ts";
import { windowsCheckpoints } from "../workers/windows/make.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { startServer } from "./server-process.ts";
import { percentile } from "./statistics.ts";

const batchSize = 5_000;
const categories = 50;
const readyMsMax = 600_000;

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

/**
 * A folder with the documents and events in it; one that was filled before is taken as it is.
 * Returns how many events it has: those that it was filled with, and the tails since.
 */
async function filled(dataDir: string, sizes: Sizes): Promise<number> {
  const path = join(dataDir, "filled.json");
  if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8")).events;
  await fill(dataDir, sizes);
  noteFilled(dataDir, sizes);
  return sizes.events;
}

function noteFilled(dataDir: string, sizes: Sizes): void {
  writeFileSync(join(dataDir, "filled.json"), JSON.stringify(sizes));
}

async function run({ options, smoke, seed, say }: BenchContext): Promise<Record<string, Figure>> {
  const of = (name: string, tiny: number) => (smoke ? tiny : options.number(name));
  const events = of("events", 20_000);
  const asked = { events, users: of("users", 500), items: of("items", 500), seed };
  const kept = options.text("data") ?? "";
  const dataDir = kept === "" ? mkdtempSync(join(tmpdir(), "recmaster-restart-")) : kept;
  const rounds = smoke ? 1 : options.number("rounds");
  const parts = (options.text("parts") ?? "").split(",");
  const figures: Record<string, Figure> = {};
  const note = (name: string, readyMs: readonly number[]) => {
    figures[`restartMsP50${name}`] = { value: percentile(readyMs, 0.5), unit: "ms" };
    figures[`restartMsMax${name}`] = { value: Math.max(...readyMs), unit: "ms" };
  };
  try {
    const sizes = { ...asked, events: await filled(dataDir, asked) };
    figures.eventsInLog = { value: sizes.events, unit: "events" };
    if (parts.includes("whole")) {
      say("no checkpoint: the whole log is read");
      const forget = () => rmSync(join(dataDir, "checkpoints"), { recursive: true, force: true });
      note("", await starts(dataDir, { rounds, say, before: forget }));
    }
    if (parts.includes("killed")) {
      const tail = Math.min(events, of("tail", 1_000));
      say(`killed ${tail} events after its last checkpoint, again and again`);
      const readyMs = await killedStarts(dataDir, { rounds, say, sizes, tail });
      note("Checkpoint", readyMs);
      figures.eventsBehindCheckpoint = { value: tail, unit: "events" };
    }
    return figures;
  } finally {
    if (kept === "") rmSync(dataDir, { recursive: true, force: true });
  }
}

interface Starts {
  readonly rounds: number;
  readonly say: BenchContext["say"];
  readonly before: () => void;
}

/** Milliseconds until each of so many starts was ready; each is ended by kill -9. */
async function starts(dataDir: string, { rounds, say, before }: Starts): Promise<number[]> {
  const readyMs: number[] = [];
  for (let i = 0; i < rounds; i++) {
    before();
    const server = await startServer({ dataDir, readyMsMax });
    readyMs.push(server.readyMs);
    say(`ready after ${server.readyMs.toFixed(0)} ms`);
    await server.kill();
  }
  return readyMs;
}

/**
 * Milliseconds until each start was ready after a kill under load: the server had written its
 * checkpoint and taken `tail` events since. What a start finds is so the same however many events
 * there are.
 */
async function killedStarts(
  dataDir: string,
  { rounds, say, sizes, tail }: Omit<Starts, "before"> & { sizes: Sizes; tail: number },
): Promise<number[]> {
  const readyMs: number[] = [];
  let end = sizes.events;
  for (let i = 0; i <= rounds; i++) {
    const server = await startServer({ dataDir, readyMsMax });
    if (i > 0) readyMs.push(server.readyMs);
    if (i > 0) say(`ready after ${server.readyMs.toFixed(0)} ms`);
    try {
      if (i === rounds) break;
      const isWritten = () => checkpointedEvents(dataDir) >= end;
      await until("a checkpoint of all events", readyMsMax, isWritten);
      await takeIn(server.port, { ...sizes, from: end, count: tail });
      end += tail;
      noteFilled(dataDir, { ...sizes, events: end });
    } finally {
      await server.kill();
    }
  }
  return readyMs;
}

/** Events that the windows' newest checkpoint has taken in. */
function checkpointedEvents(dataDir: string): number {
  const folder = join(dataDir, windowsCheckpoints(0));
  const manifests = readdirSync(folder).filter((name) => name.endsWith(".json"));
  // A folder lists its files in an order of its own.
  const newest = manifests.toSorted().at(-1);
  if (newest === undefined) return 0;
  const { manifest } = JSON.parse(readFileSync(join(folder, newest), "utf8"));
  return manifest.offsets["events/0"] ?? 0;
}

/** Events through the server's own door, as fast as it takes them. */
async function takeIn(port: number, of: Sizes & { from: number; count: number }): Promise<void> {
  const random = new Random(of.from);
  for (let done = 0; done < of.count; done += batchSize) {
    const batch = Array.from({ length: Math.min(batchSize, of.count - done) }, (_, i) => ({
      ...{ id: `t${of.from + done + i}`, type: "click", user: `u${random.int(of.users)}` },
      item: `i${random.int(of.items)}`,
    }));
    const response = await fetch(`http://127.0.0.1:${port}/v1/events`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(batch),
    });
    assert(response.ok, `events are taken: ${response.status} ${await response.text()}`);
  }
}

export const bench: Bench = {
  name: "restart",
  about: "How long a start takes on a log of many events, without checkpoints and after kill -9.",
  options: {
    events: { kind: "number", help: "events in the log", default: 1_000_000, min: 1 },
    users: { kind: "number", help: "users", default: 100_000, min: 1 },
    items: { kind: "number", help: "items", default: 100_000, min: 1 },
    rounds: { kind: "number", help: "starts, each ended by kill -9", default: 3, min: 1 },
    tail: {
      kind: "number",
      help: "events since the last checkpoint",
      default: 250_000,
      min: 20_000,
    },
    parts: { kind: "text", help: "of whole, killed", default: "whole,killed" },
    data: { kind: "text", help: "folder to keep, filled only if it is not yet", default: "" },
  },
  run,
};

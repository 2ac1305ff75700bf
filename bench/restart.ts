import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { assert } from "../models/core/assert.ts";
import { Random } from "../models/core/random.ts";
import definition from "../models/definition/default.ts";
import { openStorage } from "../server/assembly/storage.ts";
import { until } from "../workers/loop.ts";
import { systemClock } from "../workers/system-clock.ts";
import { windowsCheckpoints } from "../workers/windows/make.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { memoryMb } from "./process-figures.ts";
import { startServer } from "./server-process.ts";
import { median, pairedRatio } from "./statistics.ts";

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

/** A data folder of one size, and how many events it has: the fill and the tails since. */
interface Folder {
  /** Ends the names of its figures. */
  readonly name: "Small" | "Large";
  readonly dataDir: string;
  readonly sizes: Sizes;
  end: number;
}

/** What a start took until it was ready. */
interface Start {
  readonly readyMs: number;
  readonly cpuSeconds: number;
  readonly memoryMb: number;
}

async function run({ options, smoke, seed, say }: BenchContext): Promise<Record<string, Figure>> {
  const of = (name: string, tiny: number) => (smoke ? tiny : options.number(name));
  const kept = options.text("data") ?? "";
  const parent = kept === "" ? mkdtempSync(join(tmpdir(), "recmaster-restart-")) : kept;
  // Fewer are left to the next start: no checkpoint is written for them.
  const asked = { events: of("events", 20_000), users: of("users", 500), items: of("items", 500) };
  const parts = (options.text("parts") ?? "").split(",");
  try {
    const large = { ...asked, events: asked.events * of("times", 2), seed };
    const folders = [
      await folderOf("Small", join(parent, "small"), { ...asked, seed }),
      await folderOf("Large", join(parent, "large"), large),
    ];
    const figures: Record<string, Figure> = {};
    for (const { name, end } of folders) {
      figures[`eventsInLog${name}`] = { value: end, unit: "events" };
    }
    if (parts.includes("whole")) Object.assign(figures, await wholeStarts(folders, say));
    if (parts.includes("killed")) {
      const tail = Math.min(asked.events, of("tail", 1_000));
      const rounds = smoke ? 1 : options.number("rounds");
      figures.eventsBehindCheckpoint = { value: tail, unit: "events" };
      Object.assign(figures, await killedStarts(folders, { rounds, tail, seed, say }));
    }
    return figures;
  } finally {
    if (kept === "") rmSync(parent, { recursive: true, force: true });
  }
}

/** One that was filled before is taken as it is. */
async function folderOf(name: Folder["name"], dataDir: string, asked: Sizes): Promise<Folder> {
  const path = join(dataDir, "filled.json");
  if (!existsSync(path)) {
    await fill(dataDir, asked);
    noteFilled(dataDir, asked);
  }
  const sizes: Sizes = JSON.parse(readFileSync(path, "utf8"));
  return { name, dataDir, sizes, end: sizes.events };
}

function noteFilled(dataDir: string, sizes: Sizes): void {
  writeFileSync(join(dataDir, "filled.json"), JSON.stringify(sizes));
}

async function started(dataDir: string, env: Readonly<Record<string, string>> = {}) {
  return await startServer({ dataDir, readyMsMax, env });
}

/** Without checkpoints: the whole log is read. */
async function wholeStarts(folders: readonly Folder[], say: BenchContext["say"]) {
  const figures: Record<string, Figure> = {};
  for (const { name, dataDir } of folders) {
    rmSync(join(dataDir, "checkpoints"), { recursive: true, force: true });
    const start = await startOnce(dataDir);
    say(`${name}, from the whole log: ${lineOf(start)}`);
    figures[`wholeMs${name}`] = { value: start.readyMs, unit: "ms" };
    figures[`wholeCpuSeconds${name}`] = { value: start.cpuSeconds, unit: "s" };
  }
  return figures;
}

async function startOnce(dataDir: string): Promise<Start> {
  const server = await started(dataDir);
  const { readyMs, pid } = server;
  const start = { readyMs, cpuSeconds: server.cpuSeconds(), memoryMb: memoryMb(pid) };
  await server.kill();
  return start;
}

function lineOf({ readyMs, cpuSeconds, memoryMb: mb }: Start): string {
  const took = `${readyMs.toFixed(0)} ms, ${cpuSeconds.toFixed(2)} s of processor`;
  return `ready after ${took}, ${mb.toFixed(0)} MB`;
}

interface Rounds {
  readonly rounds: number;
  readonly tail: number;
  readonly seed: number;
  readonly say: BenchContext["say"];
}

/**
 * Starts after a kill under load, of both sizes in turn: a slow hour slows both. Each is on a copy
 * of what the killed server left, so that all of a size find the same.
 */
async function killedStarts(folders: readonly Folder[], { rounds, tail, seed, say }: Rounds) {
  for (const folder of folders) await killedBehind(folder, tail);
  const starts = new Map(folders.map(({ name }): [Folder["name"], Start[]] => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const folder of folders) {
      // What it leaves is memory of a server of this size, as the killed one did.
      await startCopy(folder);
      const start = await startCopy(folder);
      say(`${folder.name}, killed ${tail} events after its checkpoint: ${lineOf(start)}`);
      starts.get(folder.name)?.push(start);
    }
  }
  const [small = [], large = []] = starts.values();
  const ratio = (of: (start: Start) => number) =>
    pairedRatio(
      small.map((start, i) => ({ a: of(start), b: of(large[i]!) })),
      seed,
    );
  return {
    ...startFigures("Small", small),
    ...startFigures("Large", large),
    restartRatio: ratio(({ readyMs }) => readyMs),
    restartCpuRatio: ratio(({ cpuSeconds }) => cpuSeconds),
  };
}

async function startCopy({ dataDir }: Folder): Promise<Start> {
  const copy = join(dirname(dataDir), "start");
  rmSync(copy, { recursive: true, force: true });
  copyFolder(dataDir, copy);
  try {
    return await startOnce(copy);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Emptied by every start. */
const scratch = /^(embeddings|rows)\//;

/** What a server never changes, checkpoints and full segments of the log, is linked. */
function copyFolder(from: string, to: string): void {
  const files = readdirSync(from, { recursive: true, encoding: "utf8" })
    .filter((path) => !scratch.test(path) && statSync(join(from, path)).isFile())
    .toSorted();
  files.forEach((path, i) => {
    mkdirSync(dirname(join(to, path)), { recursive: true });
    const next = files[i + 1] ?? "";
    const isSegment = path.endsWith(".log") && next.endsWith(".log");
    const isFull = isSegment && dirname(path) === dirname(next);
    const put = isFull || path.startsWith("checkpoints/") ? linkSync : copyFileSync;
    put(join(from, path), join(to, path));
  });
}

function startFigures(name: Folder["name"], starts: readonly Start[]): Record<string, Figure> {
  const readyMs = starts.map((start) => start.readyMs);
  return {
    [`restartMsP50${name}`]: { value: median(readyMs), unit: "ms" },
    [`restartMsMax${name}`]: { value: Math.max(...readyMs), unit: "ms" },
    [`restartCpuSeconds${name}`]: {
      ...{ value: median(starts.map(({ cpuSeconds }) => cpuSeconds)), unit: "s" },
    },
    [`restartMemoryMb${name}`]: {
      ...{ value: median(starts.map((start) => start.memoryMb)), unit: "MB" },
    },
  };
}

/**
 * Lets a server write its checkpoints, of all events, sends it `tail` more and kills it: what a
 * start finds is so the same however many events there are. Recall keeps one once it has an index;
 * a server that has met so many events has had the time for that.
 */
async function killedBehind(folder: Folder, tail: number): Promise<void> {
  const { dataDir, sizes, end } = folder;
  const server = await started(dataDir, { RECALL_REBUILD_PERCENT: "100" });
  try {
    await until("checkpoints of all events", readyMsMax, () => {
      return newestOffset(dataDir, windowsCheckpoints(0)) >= end;
    });
    await until("a checkpoint of recall", readyMsMax, () => {
      return newestOffset(dataDir, "checkpoints/recall") > 0;
    });
    await takeIn(server.port, { ...sizes, from: end, count: tail });
    folder.end += tail;
    noteFilled(dataDir, { ...sizes, events: folder.end });
  } finally {
    await server.kill();
  }
}

/** Events that the newest checkpoint in a folder has taken in; 0 where there is none. */
function newestOffset(dataDir: string, checkpoints: string): number {
  const folder = join(dataDir, checkpoints);
  if (!existsSync(folder)) return 0;
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
  about: "How long a start takes on few and on many events, without checkpoints and after kill -9.",
  options: {
    events: { kind: "number", help: "events in the smaller log", default: 1_000_000, min: 1 },
    times: { kind: "number", help: "the larger has so many times as many", default: 10, min: 1 },
    users: { kind: "number", help: "users", default: 100_000, min: 1 },
    items: { kind: "number", help: "items", default: 100_000, min: 1 },
    rounds: { kind: "number", help: "starts of each size after a kill", default: 6, min: 1 },
    tail: {
      kind: "number",
      help: "events since the last checkpoint",
      default: 250_000,
      min: 20_000,
    },
    parts: { kind: "text", help: "of whole, killed", default: "whole,killed" },
    data: { kind: "text", help: "folder to keep both in, filled only if not yet", default: "" },
  },
  run,
};

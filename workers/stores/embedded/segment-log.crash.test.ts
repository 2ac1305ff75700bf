import { expect, test } from "bun:test";
import { text, utf8 } from "../../../models/core/bytes.ts";
import { RecError } from "../../../models/core/errors.ts";
import { Random } from "../../../models/core/random.ts";
import { readAll } from "../event-log.suite.ts";
import { FaultyFileSystem } from "../faulty-file-system.ts";
import { openSegmentLog, type SegmentLog } from "./segment-log.ts";

/**
 * Random work on a disk that fails, and loses power at random moments, several times over. After
 * each: nothing acknowledged is lost, nothing is there that was not appended, appends are whole, in
 * order, at the offsets that were answered, and the newest frame is no older than acknowledged.
 */
const topic = "events";
const partitions = 2;

/** What is known of one partition. */
interface Model {
  /** Records by offset that must be there: acknowledged, or seen after a power loss. */
  readonly kept: string[];
  /** Appends of this life by number: their records. */
  readonly asked: Map<number, string[]>;
  frame: number;
}

interface World {
  readonly random: Random;
  readonly disk: FaultyFileSystem;
  readonly models: Model[];
  appends: number;
  /** For the count of what the test has met. */
  readonly met: { acknowledged: number; refused: number; cut: number; survived: number };
}

function openLog(world: World): SegmentLog {
  const { random, disk } = world;
  const segmentBytes = 500 + random.int(4_000);
  const report = () => {
    world.met.cut++;
  };
  const common = { directory: "d", fileSystem: disk, topics: { events: partitions } };
  // A failed sync while opening is reported by throwing; a person would start again.
  for (let tries = 0; ; tries++) {
    try {
      return openSegmentLog({ ...common, segmentBytes, lingerMs: 0, report });
    } catch (error) {
      if (tries > 20) throw error;
    }
  }
}

/** One append of random size; the records carry its number, so that a part of one is noticed. */
async function appendOnce(world: World, log: SegmentLog): Promise<void> {
  const { random, models, met } = world;
  const number = world.appends++;
  const partition = random.int(partitions);
  const count = random.int(5);
  const padding = "p".repeat(random.int(2) * random.int(1_500));
  const records = Array.from({ length: count }, (_, i) => `${number}:${i}/${count}${padding}`);
  const frame = count === 0 || random.next() < 0.3 ? { frame: utf8(`${number}`) } : {};
  const model = models[partition];
  model.asked.set(number, records);
  const durable = random.next() < 0.8;
  try {
    const first = await log.append(topic, partition, records.map(utf8), { durable, ...frame });
    met.acknowledged++;
    for (let i = 0; i < count; i++) model.kept[first + i] = records[i];
    if ("frame" in frame) model.frame = Math.max(model.frame, number);
  } catch (error) {
    expect(error).toBeInstanceOf(RecError);
    met.refused++;
  }
}

async function liveOnce(world: World, log: SegmentLog): Promise<void> {
  const { random, disk } = world;
  const running: Promise<void>[] = [];
  for (let step = 10 + random.int(60); step > 0; step--) {
    running.push(appendOnce(world, log));
    for (let turns = random.int(12); turns > 0; turns--) await null;
  }
  if (random.next() < 0.3) await Promise.all(running);
  // What a killed program wrote is shown when it is opened again, and must then survive the power.
  if (random.next() < 0.5) disk.killProgram();
  else disk.losePower();
  await Promise.all(running);
}

async function checkPartition(log: SegmentLog, partition: number, world: World): Promise<void> {
  const model = world.models[partition];
  const found = await readAll(log, { partition, offset: 0, maxBytes: 2_000 });
  expect(found.slice(0, model.kept.length)).toEqual(model.kept);
  const beyond = found.slice(model.kept.length);
  world.met.survived += beyond.length;
  expectWholeAppends(beyond, model.asked);
  const numbers = found.map((record) => Number.parseInt(record, 10));
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  const frame = await log.lastFrame(topic, partition);
  const newest = frame === null ? -1 : Number(text(frame));
  expect(newest).toBeGreaterThanOrEqual(model.frame);
  if (newest > model.frame) expect(model.asked.has(newest)).toBe(true);
  model.kept.push(...beyond);
  model.frame = newest;
  model.asked.clear();
}

/** What was not acknowledged may be there, but only as it was appended. */
function expectWholeAppends(records: readonly string[], asked: Map<number, string[]>): void {
  for (let at = 0; at < records.length; ) {
    const append = asked.get(Number.parseInt(records[at], 10));
    expect(append).toBeDefined();
    if (append === undefined) return;
    expect(records.slice(at, at + append.length)).toEqual(append);
    at += append.length;
  }
}

async function runSeed(seed: number, met: World["met"]): Promise<void> {
  const random = new Random(seed);
  const disk = new FaultyFileSystem(random.fork());
  const newModel = (): Model => ({ kept: [], asked: new Map(), frame: -1 });
  const models = Array.from({ length: partitions }, newModel);
  const world: World = { random, disk, models, appends: 0, met };
  for (let life = 0; life < 4; life++) {
    disk.rates = { tornWrite: 0.04, fullDisk: 0.04, failedSync: 0.06 };
    const log = openLog(world);
    disk.rates = {};
    for (let i = 0; i < partitions; i++) await checkPartition(log, i, world);
    disk.rates = { tornWrite: 0.04, fullDisk: 0.04, failedSync: 0.06 };
    await liveOnce(world, log);
    await log.close().catch(() => {});
  }
}

test("power losses and failing writes and syncs lose nothing that was acknowledged", async () => {
  const met = { acknowledged: 0, refused: 0, cut: 0, survived: 0 };
  const from = Number(process.env.REC_TEST_SEED ?? 1);
  const count = process.env.REC_TEST_SEED === undefined ? 200 : 1;
  for (let seed = from; seed < from + count; seed++) {
    try {
      await runSeed(seed, met);
    } catch (error) {
      console.error(`seed ${seed} failed; repeat it with REC_TEST_SEED=${seed}`);
      throw error;
    }
  }
  if (count === 1) return;
  // The faults were really met, or the test shows nothing.
  expect(met.acknowledged).toBeGreaterThan(10_000);
  expect(met.refused).toBeGreaterThan(1_000);
  expect(met.cut).toBeGreaterThan(50);
  expect(met.survived).toBeGreaterThan(50);
}, 60_000);

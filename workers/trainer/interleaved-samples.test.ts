import { expect, test } from "bun:test";
import { text, utf8 } from "../../models/core/bytes.ts";
import { Random } from "../../models/core/random.ts";
import { recordOf, type TailedLog } from "../stores/event-log.ts";
import { memoryFileSystem } from "../stores/memory-file-system.ts";
import { type LogRetention, openEventLog } from "../stores/open.ts";
import { InterleavedSamples, openSamples } from "./interleaved-samples.ts";
import type { SampleLog } from "./worker.ts";

const partitions = 3;
const topics = { samples: partitions, commits: partitions + 1 };

function setup(retention: LogRetention = {}) {
  const fileSystem = memoryFileSystem();
  const shape = { dataDir: "data", fileSystem, topics, durability: "async", lingerMs: 0 } as const;
  const small = { ...shape, retention, segmentBytes: 2_048 };
  const log = openEventLog("embedded:", small);
  /** A trainer's thread, with its own writers. */
  const thread = () => openEventLog("embedded:", { ...small, control: log.control });
  return { log, thread, reopened: () => openEventLog("embedded:", small) };
}

async function append(log: TailedLog, partition: number, count: number): Promise<void> {
  const end = log.endOffset("samples", partition);
  const records = Array.from({ length: count }, (_, i) => utf8(`${partition}/${end + i}`));
  if (count > 0) await log.append("samples", partition, records);
}

/** One read at `from`, checked to be of that number. */
async function read(samples: SampleLog, from: number, maxBytes: number): Promise<string[]> {
  const batch = await samples.read("samples", 0, from, maxBytes);
  expect(batch.firstOffset).toBe(from);
  return Array.from({ length: batch.count }, (_, i) => text(recordOf(batch, i)));
}

test("every sample comes once, at the same number whoever reads again and from where", async () => {
  const { log, thread } = setup();
  const random = new Random(5);
  const order: string[] = [];
  let own = thread();
  let samples: SampleLog = await InterleavedSamples.open(own);
  let restarts = 0;
  let next = 0;
  for (let step = 0; step < 400; step++) {
    await append(log, random.int(partitions), random.int(3) === 0 ? random.int(40) : 0);
    if (samples.endOffset("samples", 0) > next) {
      const found = await read(samples, next, 1 + random.int(200));
      expect(found.length).toBeGreaterThan(0);
      for (const [i, sample] of found.entries()) {
        // After a restart below what was given out, it comes again as it was.
        if (next + i < order.length) expect(sample).toBe(order[next + i]!);
        else order.push(sample);
      }
      next += found.length;
    }
    if (random.int(12) !== 0) continue;
    restarts++;
    log.releaseWriter("commits", partitions);
    own = thread();
    samples = await InterleavedSamples.open(own);
    next = random.int(order.length + 1);
  }
  expect(restarts).toBeGreaterThan(20);
  expect(new Set(order).size).toBe(order.length);
  for (let partition = 0; partition < partitions; partition++) {
    const of = order.filter((sample) => sample.startsWith(`${partition}/`));
    expect(of).toEqual(of.map((_, i) => `${partition}/${i}`));
    expect(of.length).toBeGreaterThan(100);
  }
  const beside: SampleLog = await InterleavedSamples.open(log, { commits: false });
  const again: string[] = [];
  while (beside.endOffset("samples", 0) > again.length) {
    again.push(...(await read(beside, again.length, 300)));
  }
  expect(again).toEqual(order);
});

test("a partition that has much to give lets the others have their turn", async () => {
  const { log, thread } = setup();
  await append(log, 1, 5_000);
  await append(log, 2, 10);
  const samples = await openSamples(thread());
  expect(await read(samples, 0, 1 << 20)).toHaveLength(1_000);
  expect(await read(samples, 1_000, 1 << 20)).toHaveLength(10);
  expect(await read(samples, 1_010, 1 << 20)).toHaveLength(1_000);
});

test("a snapshot that knows more than the log goes on behind what it knows", async () => {
  const { log, thread } = setup();
  await append(log, 0, 30);
  const samples = await openSamples(thread());
  expect(await read(samples, 20, 1 << 20)).toEqual(
    Array.from({ length: 10 }, (_, i) => `0/${20 + i}`),
  );
});

const least = { sizeBytesMax: 1, heldBy: ["trainer"] } as const;

test("what no start needs goes from every partition, and the rest keeps its numbers", async () => {
  const { log, thread, reopened } = setup({ samples: least, commits: least });
  const random = new Random(7);
  const order: string[] = [];
  let samples = await InterleavedSamples.open(thread());
  let needed = 0;
  for (let step = 0; step < 600; step++) {
    await append(log, random.int(partitions), random.int(30));
    while (samples.endOffset() > order.length) {
      order.push(...(await read(samples, order.length, 1 + random.int(400))));
    }
    if (random.int(10) !== 0) continue;
    needed = Math.max(needed, order.length - random.int(300));
    samples.letGo("trainer", [{ topic: "samples", partition: 0, offset: needed }]);
    if (random.int(3) !== 0) continue;
    log.releaseWriter("commits", partitions);
    samples = await InterleavedSamples.open(thread());
    expect(samples.startOffset()).toBeLessThanOrEqual(needed);
  }
  const startsOf = (of: TailedLog) => [
    ...Array.from({ length: partitions }, (_, p) => of.startOffset("samples", p)),
    of.startOffset("commits", partitions),
  ];
  const starts = startsOf(log);
  for (const start of starts) expect(start).toBeGreaterThan(100);

  // A start finds the same of what is left, from the first number that is whole on.
  await log.close();
  const again = reopened();
  expect(startsOf(again)).toEqual(starts);
  samples = await InterleavedSamples.open(again);
  const start = samples.startOffset();
  expect(start).toBeGreaterThan(1_000);
  expect(start).toBeLessThanOrEqual(needed);
  const left: string[] = [];
  while (samples.endOffset() > start + left.length) {
    left.push(...(await read(samples, start + left.length, 500)));
  }
  expect(left).toEqual(order.slice(start));
});

test("who rests lets all go, and later takes what is left", async () => {
  const { log, thread } = setup({ samples: least });
  for (let p = 0; p < partitions; p++) await append(log, p, 5);
  const samples = await InterleavedSamples.open(thread());
  expect(await read(samples, 0, 1 << 20)).toHaveLength(5);
  const everything = Number.MAX_SAFE_INTEGER;
  samples.letGo("trainer", [{ topic: "samples", partition: 0, offset: everything }]);
  for (let round = 0; round < 200; round++) {
    for (let p = 0; p < partitions; p++) await append(log, p, 5);
  }
  for (let p = 0; p < partitions; p++) expect(log.startOffset("samples", p)).toBeGreaterThan(500);
  const waiting = samples.endOffset() - 5;
  expect(waiting).toBeLessThan(1_500);
  const from = log.startOffset("samples", 1);
  expect((await read(samples, 5, 100))[0]).toBe(`1/${from}`);
});

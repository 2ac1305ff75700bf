import { expect, test } from "bun:test";
import { text, utf8 } from "../../models/core/bytes.ts";
import { Random } from "../../models/core/random.ts";
import { recordOf, type TailedLog } from "../stores/event-log.ts";
import { memoryFileSystem } from "../stores/memory-file-system.ts";
import { openEventLog } from "../stores/open.ts";
import { InterleavedSamples, openSamples } from "./interleaved-samples.ts";
import type { SampleLog } from "./worker.ts";

const partitions = 3;
const topics = { samples: partitions, commits: partitions + 1 };

function setup() {
  const fileSystem = memoryFileSystem();
  const shape = { dataDir: "data", fileSystem, topics, durability: "async", lingerMs: 0 } as const;
  const log = openEventLog("embedded:", { ...shape, segmentBytes: 4_096 });
  /** A trainer's thread, with its own writers. */
  const thread = () => openEventLog("embedded:", { ...shape, control: log.control });
  return { log, thread };
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

import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../../models/core/random.ts";
import { DelayedEventLog } from "./delayed-event-log.ts";
import { openSegmentLog } from "./embedded/segment-log.ts";
import { type EventLogFixture, runEventLogSuite } from "./event-log.suite.ts";
import { FaultyFileSystem } from "./faulty-file-system.ts";
import { type FileSystem, realFileSystem } from "./file-system.ts";
import { memoryFileSystem } from "./memory-file-system.ts";

const root = mkdtempSync(join(tmpdir(), "rec-log-"));
let directories = 0;

afterAll(() => rmSync(root, { recursive: true }));

async function embedded(
  fileSystem: FileSystem,
  options: { partitions: number; queueBytesMax: number; durability?: "fsync" | "async" },
): Promise<EventLogFixture> {
  const directory = `${root}/${directories++}`;
  const { partitions: events, queueBytesMax, durability = "fsync" } = options;
  // Segments of a few kilobytes: every test crosses some.
  const common = { directory, fileSystem, topics: { events }, queueBytesMax, durability };
  const open = () => openSegmentLog({ ...common, segmentBytes: 3_000, lingerMs: 1 });
  const log = open();
  const reopen = async () => {
    await log.close();
    return open();
  };
  const faulty = fileSystem instanceof FaultyFileSystem ? fileSystem : null;
  return { log, reopen, failNextAppend: faulty && (() => faulty.failNext("sync")) };
}

for (const partitions of [1, 4]) {
  const create =
    (fileSystem: () => FileSystem, durability: "fsync" | "async" = "fsync") =>
    (options: { queueBytesMax: number }) =>
      embedded(fileSystem(), { partitions, durability, ...options });
  runEventLogSuite({ name: "files", partitions, create: create(realFileSystem) });
  runEventLogSuite({ name: "files, async", partitions, create: create(realFileSystem, "async") });
  runEventLogSuite({ name: "memory", partitions, create: create(memoryFileSystem, "async") });
  runEventLogSuite({
    name: "a disk that can fail",
    partitions,
    create: create(() => new FaultyFileSystem(new Random(5))),
  });
  runEventLogSuite({
    name: "delayed and failing",
    partitions,
    create: async (options) => {
      const { log: below } = await embedded(memoryFileSystem(), { partitions, ...options });
      const random = new Random(7);
      const sleep = (ms: number) => Bun.sleep(ms);
      const faults = { delayMsMax: 1, failureRate: 0, queueBytesMax: options.queueBytesMax };
      const log = new DelayedEventLog(below, { random, sleep, ...faults });
      return { log, reopen: null, failNextAppend: () => log.failNextAppend() };
    },
  });
}

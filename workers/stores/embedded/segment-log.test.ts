import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text, utf8 } from "../../../models/core/bytes.ts";
import { ManualClock } from "../../../models/core/clock.ts";
import { Random } from "../../../models/core/random.ts";
import { readAll } from "../event-log.suite.ts";
import { FaultyFileSystem } from "../faulty-file-system.ts";
import { type FileSystem, realFileSystem } from "../file-system.ts";
import { memoryFileSystem } from "../memory-file-system.ts";
import { openSegmentLog, type SegmentLogOptions } from "./segment-log.ts";

const root = mkdtempSync(join(tmpdir(), "rec-segments-"));

afterAll(() => rmSync(root, { recursive: true }));

const topic = "events";

function open(fileSystem: FileSystem, options: Partial<SegmentLogOptions> = {}) {
  return openSegmentLog({ directory: "log", fileSystem, topics: { events: 1 }, ...options });
}

const all = (log: ReturnType<typeof open>) =>
  readAll(log, { partition: 0, offset: log.startOffset(topic, 0), maxBytes: 1 << 16 });

const segmentNames = (fileSystem: FileSystem) => fileSystem.list("log/events/0");
const firstSegment = `log/events/0/${"0".repeat(16)}.log`;

describe("order of a commit", () => {
  test("no durable append is answered before the sync that covers it", async () => {
    const random = new Random(2);
    const fileSystem = new FaultyFileSystem(random);
    const synced = { offset: 0 };
    const steps: string[] = [];
    const log = open(fileSystem, {
      segmentBytes: 2_000,
      trace: (step, _name, endOffset) => {
        steps.push(step);
        if (step === "synced") synced.offset = endOffset;
        if (step === "visible") expect(endOffset).toBeLessThanOrEqual(synced.offset);
      },
    });
    const appends = Array.from({ length: 300 }, async (_, i) => {
      for (let turns = random.int(500); turns > 0; turns--) await null;
      const offset = await log.append(topic, 0, [utf8(`${i}`)]);
      expect(synced.offset).toBeGreaterThan(offset);
    });
    await Promise.all(appends);
    const order = ["written", "synced", "visible", "resolved"];
    expect(steps).toEqual(steps.map((_, i) => order[i % 4]));
    expect(steps.length).toBeGreaterThan(40);
    expect(steps.length).toBeLessThan(4 * 300);
    await log.close();
  });

  test("async durability answers before the sync, and flush syncs", async () => {
    const fileSystem = new FaultyFileSystem(new Random(3));
    const log = open(fileSystem, { durability: "async" });
    await log.append(topic, 0, [utf8("a")]);
    await log.flush();
    await log.append(topic, 0, [utf8("b")]);
    fileSystem.failNext("sync");
    await expect(log.flush()).rejects.toHaveProperty("code", "REC_FILE_IO");
    await log.close();
  });
});

describe("damage", () => {
  async function logOf(fileSystem: FileSystem, count: number) {
    const log = open(fileSystem, { segmentBytes: 700 });
    for (let i = 0; i < count; i++) await log.append(topic, 0, [utf8(`record ${i}`)]);
    await log.close();
  }

  test("a torn tail is cut at the last good group, with a message", async () => {
    for (const cutBytes of [1, 20, 47, 60]) {
      const fileSystem = memoryFileSystem();
      await logOf(fileSystem, 4);
      const file = fileSystem.open(firstSegment, "write");
      const whole = file.size();
      file.truncate(whole - cutBytes);
      const messages: string[] = [];
      const log = open(fileSystem, { report: (message) => messages.push(message) });
      expect(await all(log)).toEqual(["record 0", "record 1", "record 2"]);
      expect(messages.length).toBe(1);
      expect(messages[0]).toContain(`${firstSegment}: cut ${whole / 4 - cutBytes} bytes`);
      expect(await log.append(topic, 0, [utf8("next")])).toBe(3);
      await log.close();
    }
  });

  test("good groups behind a bad one are kept aside", async () => {
    const fileSystem = new FaultyFileSystem(new Random(1));
    await logOf(fileSystem, 4);
    fileSystem.flipBit(firstSegment, 60, 3);
    const messages: string[] = [];
    const log = open(fileSystem, { report: (message) => messages.push(message) });
    expect(log.endOffset(topic, 0)).toBe(0);
    expect(messages[0]).toContain(`${firstSegment}.cut-0`);
    expect(segmentNames(fileSystem)).toContain(`${"0".repeat(16)}.log.cut-0`);
    await log.close();
  });

  test("a flipped bit in an old segment is found when it is read, wherever it is", async () => {
    const random = new Random(9);
    for (let round = 0; round < 60; round++) {
      const fileSystem = new FaultyFileSystem(random.fork());
      await logOf(fileSystem, 40);
      const size = fileSystem.open(firstSegment, "read").size();
      fileSystem.flipBit(firstSegment, random.int(size), random.int(8));
      const log = open(fileSystem);
      const reading = all(log);
      await expect(reading).rejects.toHaveProperty("code", "REC_LOG_CORRUPT");
      await expect(reading).rejects.toThrow(firstSegment);
      await log.close();
    }
  });

  test("a missing segment is found when it is read", async () => {
    const fileSystem = memoryFileSystem();
    await logOf(fileSystem, 40);
    const second = segmentNames(fileSystem)[1] ?? "";
    fileSystem.remove(`log/events/0/${second}`);
    const log = open(fileSystem);
    await expect(all(log)).rejects.toHaveProperty("code", "REC_LOG_CORRUPT");
    await log.close();
  });
});

describe("segments", () => {
  const fill = async (log: ReturnType<typeof open>, count: number) => {
    for (let i = 0; i < count; i++) await log.append(topic, 0, [utf8("x".repeat(400))]);
  };

  test("old ones are dropped whole by size, and a read below says so", async () => {
    const fileSystem = memoryFileSystem();
    const retention = { events: { sizeBytesMax: 3_000 } };
    const log = open(fileSystem, { segmentBytes: 1_000, retention });
    const tail = open(fileSystem, { control: log.control });
    expect((await tail.read(topic, 0, 0, 1)).count).toBe(0);
    await fill(log, 30);
    const start = log.startOffset(topic, 0);
    expect(start).toBeGreaterThan(15);
    expect(start).toBeLessThan(30);
    const sizes = segmentNames(fileSystem).map((name) =>
      fileSystem.open(`log/events/0/${name}`, "read").size(),
    );
    expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThan(3_000 + 1_500);
    for (const reader of [log, tail]) {
      await expect(reader.read(topic, 0, 0, 10)).rejects.toHaveProperty("code", "REC_LOG_GONE");
      expect((await all(reader)).length).toBe(30 - start);
    }
    await log.close();
    expect(open(fileSystem).startOffset(topic, 0)).toBe(start);
  });

  test("nothing is dropped that one of those who are asked still needs", async () => {
    const fileSystem = memoryFileSystem();
    const retention = { events: { sizeBytesMax: 1, heldBy: ["ingest", "windows"] as const } };
    const log = open(fileSystem, { segmentBytes: 1_000, retention });
    const role = open(fileSystem, { control: log.control });
    const dropped = async () => {
      await fill(log, 4);
      return log.startOffset(topic, 0);
    };
    expect(await dropped()).toBe(0);
    log.letGo("ingest", [{ topic, partition: 0, offset: 1_000 }]);
    // The other has not said anything yet, and one who is not asked does not count.
    log.letGo("recall", [{ topic, partition: 0, offset: 1_000 }]);
    expect(await dropped()).toBe(0);
    role.letGo("windows", [{ topic, partition: 0, offset: 7 }]);
    const start = await dropped();
    expect(start).toBeGreaterThan(3);
    expect(start).toBeLessThanOrEqual(7);
    expect((await all(role)).length).toBe(log.endOffset(topic, 0) - start);
    role.letGo("windows", [{ topic, partition: 0, offset: 1_000 }]);
    expect(await dropped()).toBeGreaterThan(10);
    await log.close();
  });

  test("of several joiners each must have let go of the events that all read", async () => {
    const fileSystem = memoryFileSystem();
    const retention = { events: { sizeBytesMax: 1, heldBy: ["joiner"] as const } };
    const topics = { events: 1, samples: 3 };
    const log = open(fileSystem, { segmentBytes: 1_000, retention, topics });
    const dropped = async () => {
      await fill(log, 4);
      return log.startOffset(topic, 0);
    };
    const letGo = (part: number, offset: number) =>
      log.letGo("joiner", [{ topic, partition: 0, offset }], part);
    letGo(0, 1_000);
    letGo(2, 1_000);
    expect(await dropped()).toBe(0);
    letGo(1, 3);
    expect(await dropped()).toBeLessThanOrEqual(3);
    letGo(1, 1_000);
    expect(await dropped()).toBeGreaterThan(3);
    await log.close();
  });

  test("a replay may begin at any time: at the first record written then or later", async () => {
    const fileSystem = memoryFileSystem();
    const clock = new ManualClock(1_000);
    const log = open(fileSystem, { segmentBytes: 600, clock });
    const written: number[] = [];
    for (let i = 0; i < 40; i++) {
      clock.advanceTo(1_000 + 10 * i);
      const records = Array.from({ length: 1 + (i % 3) }, () => utf8(`${i}`.repeat(20)));
      await log.append(topic, 0, records);
      written.push(...records.map(() => clock.nowMs()));
    }
    expect(segmentNames(fileSystem).length).toBeGreaterThan(4);
    for (let timeMs = 985; timeMs < 1_420; timeMs += 7) {
      const first = written.findIndex((at) => at >= timeMs);
      const expected = first < 0 ? log.endOffset(topic, 0) : first;
      expect(log.offsetAt(topic, 0, timeMs)).toBe(expected);
    }
    await log.close();
  });

  test("old ones are dropped by age, and the newest frame stays", async () => {
    const fileSystem = memoryFileSystem();
    const clock = new ManualClock(1_000_000);
    const retention = { events: { ageMsMax: 10_000 } };
    const log = open(fileSystem, { segmentBytes: 1_000, retention, clock });
    await log.append(topic, 0, [], { frame: utf8("commit") });
    for (let second = 0; second < 60; second++) {
      clock.advanceTo(1_000_000 + 1_000 * second);
      await fill(log, 1);
    }
    const start = log.startOffset(topic, 0);
    expect(start).toBeGreaterThan(43);
    expect(start).toBeLessThan(51);
    await log.close();
    const again = open(fileSystem);
    expect(text((await again.lastFrame(topic, 0)) ?? utf8(""))).toBe("commit");
    await again.close();
  });

  test("the next writer takes in what a dead one had written and not shown", async () => {
    const fileSystem = memoryFileSystem();
    const main = open(fileSystem);
    let dies = false;
    const first = open(fileSystem, {
      control: main.control,
      trace(step) {
        if (dies && step === "written") throw new Error("the thread is gone");
      },
    });
    await first.append(topic, 0, [utf8("shown")], { frame: utf8("1") });
    dies = true;
    await first.append(topic, 0, [utf8("written")], { frame: utf8("2") }).catch(() => {});
    expect(await all(main)).toEqual(["shown"]);
    main.releaseWriter(topic, 0);
    const next = open(fileSystem, { control: main.control });
    next.openWriter(topic, 0);
    expect(text((await next.lastFrame(topic, 0)) ?? utf8(""))).toBe("2");
    expect(await all(main)).toEqual(["shown", "written"]);
    await next.close();
  });

  test("frames without records stay bounded, and a reader follows the replaced file", async () => {
    const fileSystem = memoryFileSystem();
    const log = open(fileSystem, { segmentBytes: 1_000 });
    const tail = open(fileSystem, { control: log.control });
    const frames = async (from: number) => {
      for (let i = from; i < from + 100; i++) {
        await log.append(topic, 0, [], { frame: utf8(`frame ${i}`) });
      }
    };
    await frames(0);
    await log.append(topic, 0, [utf8("first")]);
    expect(await all(tail)).toEqual(["first"]);
    await frames(100);
    expect(text((await tail.lastFrame(topic, 0)) ?? utf8(""))).toBe("frame 199");
    await log.append(topic, 0, [utf8("second")]);
    expect(await all(tail)).toEqual(["first", "second"]);
    await frames(200);
    await log.append(topic, 0, [utf8("third")]);
    expect((await tail.read(topic, 0, 2, 9)).count).toBe(1);
    expect(segmentNames(fileSystem).length).toBeLessThan(6);
    await log.close();
  });

  test("an append of several groups' size is one group; a larger one is refused", async () => {
    const log = open(memoryFileSystem());
    const large = new Uint8Array(9 << 20).fill(7);
    expect(await log.append(topic, 0, [large, utf8("end")])).toBe(0);
    expect((await log.read(topic, 0, 1, 10)).count).toBe(1);
    expect((await log.read(topic, 0, 0, 10)).data).toEqual(large);
    const refused = log.append(topic, 0, [large, large]);
    await expect(refused).rejects.toHaveProperty("code", "REC_LOG_TOO_LARGE");
    await log.close();
  });
});

describe("threads", () => {
  test("a partition has one writer until it is released", async () => {
    const fileSystem = memoryFileSystem();
    const first = open(fileSystem);
    first.openWriter(topic, 0);
    await first.append(topic, 0, [utf8("a")]);
    const second = open(fileSystem, { control: first.control });
    const refused = second.append(topic, 0, [utf8("b")]);
    await expect(refused).rejects.toHaveProperty("code", "REC_LOG_WRITER");
    await first.close();
    expect(await second.append(topic, 0, [utf8("b")])).toBe(1);
    // As if that thread had died without closing.
    const third = open(fileSystem, { control: first.control });
    third.releaseWriter(topic, 0);
    expect(await third.append(topic, 0, [utf8("c")])).toBe(2);
    expect(await all(third)).toEqual(["a", "b", "c"]);
  });

  test("a control block of other topics is refused", () => {
    const { control } = open(memoryFileSystem());
    const other = () => open(memoryFileSystem(), { control, topics: { events: 2 } });
    expect(other).toThrow("other topics");
  });

  test("another thread tails what this one writes, in order and complete", async () => {
    const directory = join(root, "tail");
    const topics = { events: 1, served: 2 };
    const fileSystem = realFileSystem();
    const log = openSegmentLog({ directory, fileSystem, topics, segmentBytes: 20_000 });
    const worker = new Worker(new URL("./tail-worker.fixture.ts", import.meta.url).href);
    const total = 3_000;
    const done = new Promise<{ sum: number; count: number }>((resolve, reject) => {
      worker.onmessage = (message) => resolve(message.data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
    worker.postMessage({ directory, topics, control: log.control, total });
    let sum = 0;
    const random = new Random(4);
    for (let i = 0; i < total; ) {
      const count = Math.min(total - i, 1 + random.int(60));
      const records = Array.from({ length: count }, (_, k) => utf8(`${i + k}`));
      await log.append("events", 0, records);
      for (let k = 0; k < count; k++) sum = (Math.imul(sum, 31) + i + k) | 0;
      i += count;
    }
    expect(await done).toEqual({ sum, count: total });
    worker.terminate();
    await log.close();
  });
});

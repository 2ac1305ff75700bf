import { describe, expect, test } from "bun:test";
import { utf8 } from "../../models/core/bytes.ts";
import { RecError } from "../../models/core/errors.ts";
import { Random } from "../../models/core/random.ts";
import { recordOf, type TailedLog } from "./event-log.ts";

/** What a suite is run on: a log of topic `events`, and ways to open it again and make it fail. */
export interface EventLogFixture {
  readonly log: TailedLog;
  /** Closes the log and opens the same storage; null where nothing outlives the log. */
  readonly reopen: (() => Promise<TailedLog>) | null;
  /** The next append fails once; null where that cannot be arranged. */
  readonly failNextAppend: (() => void) | null;
}

export interface EventLogSuiteOptions {
  readonly name: string;
  readonly partitions: number;
  /** `queueBytesMax`: a bound on what may be queued. */
  readonly create: (options: { queueBytesMax: number }) => Promise<EventLogFixture>;
}

const topic = "events";
const roomy = { queueBytesMax: 64 << 20 };

/** Every record of a partition from `offset` on, as text. */
export async function readAll(
  log: TailedLog,
  options: { partition: number; offset: number; maxBytes: number },
): Promise<string[]> {
  const { partition, maxBytes } = options;
  const records: string[] = [];
  const decoder = new TextDecoder();
  for (let at = options.offset; ; ) {
    const batch = await log.read(topic, partition, at, maxBytes);
    expect(batch.firstOffset).toBe(at);
    expect(batch.bounds.length).toBe(batch.count + 1);
    if (batch.count === 0) return records;
    for (let i = 0; i < batch.count; i++) records.push(decoder.decode(recordOf(batch, i)));
    at += batch.count;
  }
}

export function runEventLogSuite(options: EventLogSuiteOptions): void {
  describe(`event log: ${options.name}, ${options.partitions} partitions`, () => {
    recordTests(options);
    positionTests(options);
    waitingTests(options);
    frameTests(options);
    boundTests(options);
    flushTests(options);
    failureTests(options);
  });
}

function recordTests({ create, partitions }: EventLogSuiteOptions): void {
  test("records come back as they went in, in order, per partition", async () => {
    const { log } = await create(roomy);
    const random = new Random(11);
    const written = Array.from({ length: partitions }, (): string[] => []);
    for (let round = 0; round < 60; round++) {
      const partition = random.int(partitions);
      const records = Array.from({ length: random.int(8) }, (_, i) => textOf(random, round, i));
      const first = await log.append(topic, partition, records.map(utf8));
      expect(first).toBe(written[partition].length);
      written[partition].push(...records);
    }
    for (let partition = 0; partition < partitions; partition++) {
      for (const maxBytes of [1, 700, 1 << 20]) {
        const got = await readAll(log, { partition, offset: 0, maxBytes });
        expect(got).toEqual(written[partition]);
      }
      expect(log.endOffset(topic, partition)).toBe(written[partition].length);
    }
    await log.close();
  });

  test("appends at once get consecutive offsets in the order of the calls", async () => {
    const { log } = await create(roomy);
    const calls = Array.from({ length: 500 }, (_, i) =>
      log.append(topic, 0, [utf8(`a${i}`), utf8(`b${i}`)], { durable: i % 3 !== 0 }),
    );
    expect(await Promise.all(calls)).toEqual(calls.map((_, i) => 2 * i));
    const all = await readAll(log, { partition: 0, offset: 0, maxBytes: 64 });
    expect(all).toEqual(calls.flatMap((_, i) => [`a${i}`, `b${i}`]));
    await log.close();
  });

  test("empty and large records", async () => {
    const { log } = await create(roomy);
    const large = "x".repeat(700_000);
    await log.append(topic, 0, [utf8(""), utf8(large), utf8("")]);
    await log.append(topic, 0, []);
    await log.append(topic, 0, [utf8("last")]);
    const all = await readAll(log, { partition: 0, offset: 0, maxBytes: 100 });
    expect(all).toEqual(["", large, "", "last"]);
    await log.close();
  });
}

function textOf(random: Random, round: number, i: number): string {
  return `${round}/${i}:${"y".repeat(random.int(400))}`;
}

function positionTests({ create }: EventLogSuiteOptions): void {
  test("a read begins at any offset and is empty at the end", async () => {
    const { log } = await create(roomy);
    for (let i = 0; i < 40; i += 4) {
      await log.append(
        topic,
        0,
        [0, 1, 2, 3].map((k) => utf8(`r${i + k}`)),
      );
    }
    for (let offset = 0; offset < 40; offset++) {
      const batch = await log.read(topic, 0, offset, 3);
      expect(batch.firstOffset).toBe(offset);
      expect(batch.count).toBeGreaterThanOrEqual(1);
      expect(new TextDecoder().decode(recordOf(batch, 0))).toBe(`r${offset}`);
    }
    for (const offset of [40, 41, 4_000]) {
      expect((await log.read(topic, 0, offset, 100)).count).toBe(0);
    }
    expect(log.startOffset(topic, 0)).toBe(0);
    await log.close();
  });

  test("after reopening everything is there and offsets go on", async () => {
    const { log, reopen } = await create(roomy);
    if (reopen === null) return await log.close();
    await log.append(topic, 0, [utf8("one"), utf8("two")]);
    const again = await reopen();
    expect(again.endOffset(topic, 0)).toBe(2);
    expect(await again.append(topic, 0, [utf8("three")])).toBe(2);
    const all = await readAll(again, { partition: 0, offset: 0, maxBytes: 1_000 });
    expect(all).toEqual(["one", "two", "three"]);
    await again.close();
  });
}

function waitingTests({ create, partitions }: EventLogSuiteOptions): void {
  test("who waits is woken by an append, a timeout, or the close", async () => {
    const { log } = await create(roomy);
    await log.waitForMore(topic, 0, 0, 5);
    expect(log.endOffset(topic, 0)).toBe(0);
    const waiting = log.waitForMore(topic, 0, 0, 60_000);
    await log.append(topic, 0, [utf8("now")]);
    await waiting;
    expect(log.endOffset(topic, 0)).toBe(1);
    await log.waitForMore(topic, 0, 0, 60_000);
    const last = log.waitForMore(topic, 0, 1, 60_000);
    await log.close();
    await last;
  });

  test("who waits for several partitions is woken by any", async () => {
    const { log } = await create(roomy);
    const points = Array.from({ length: partitions }, (_, i) => i);
    const waiting = log.waitForAny(
      points.map((partition) => ({ topic, partition, offset: 0 })),
      60_000,
    );
    await log.append(topic, partitions - 1, [utf8("now")]);
    await waiting;
    await log.close();
  });
}

function frameTests({ create, partitions }: EventLogSuiteOptions): void {
  test("the newest frame is kept with its records", async () => {
    const { log, reopen } = await create(roomy);
    const last = partitions - 1;
    expect(await log.lastFrame(topic, last)).toBeNull();
    await log.append(topic, last, [utf8("r")], { frame: utf8("frame 1") });
    await log.append(topic, last, [], { frame: utf8("frame 2") });
    expect(log.endOffset(topic, last)).toBe(1);
    await log.append(topic, last, [utf8("s")]);
    expect(await log.lastFrame(topic, last)).toEqual(utf8("frame 2"));
    expect(await readAll(log, { partition: last, offset: 0, maxBytes: 99 })).toEqual(["r", "s"]);
    if (reopen === null) return await log.close();
    const again = await reopen();
    expect(await again.lastFrame(topic, last)).toEqual(utf8("frame 2"));
    await again.append(topic, last, [utf8("t")], { frame: utf8("") });
    expect(await again.lastFrame(topic, last)).toEqual(utf8(""));
    await again.close();
  });
}

function boundTests({ create }: EventLogSuiteOptions): void {
  test("a full queue refuses and takes again when it has drained", async () => {
    const { log } = await create({ queueBytesMax: 4_000 });
    const record = utf8("z".repeat(1_500));
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => log.append(topic, 0, [record])),
    );
    const refused = results.filter((one) => one.status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) {
      expect(reason).toBeInstanceOf(RecError);
      expect(reason.code).toBe("REC_LOG_FULL");
    }
    const taken = results.length - refused.length;
    expect(log.endOffset(topic, 0)).toBe(taken);
    expect(await log.append(topic, 0, [record])).toBe(taken);
    await log.close();
  });

  test("a closed log refuses", async () => {
    const { log } = await create(roomy);
    await log.append(topic, 0, [utf8("a")]);
    await log.close();
    await log.close();
    expect(log.append(topic, 0, [utf8("b")])).rejects.toHaveProperty("code", "REC_LOG_CLOSED");
    expect(log.read(topic, 0, 0, 10)).rejects.toHaveProperty("code", "REC_LOG_CLOSED");
  });
}

function flushTests({ create, partitions }: EventLogSuiteOptions): void {
  test("flush and close wait for what was appended", async () => {
    const { log } = await create(roomy);
    const last = partitions - 1;
    const records = [utf8("a"), utf8("b")];
    const appends = [false, true, false].map((durable) =>
      log.append(topic, last, records, { durable }),
    );
    await log.flush();
    expect(log.endOffset(topic, last)).toBe(6);
    expect(await Promise.all(appends)).toEqual([0, 2, 4]);
    const more = log.append(topic, last, records, { durable: false });
    await log.close();
    expect(await more).toBe(6);
  });
}

function failureTests({ create }: EventLogSuiteOptions): void {
  test("what was refused is not there after a clean close", async () => {
    const { log, failNextAppend, reopen } = await create(roomy);
    if (failNextAppend === null || reopen === null) return await log.close();
    await log.append(topic, 0, [utf8("a")]);
    failNextAppend();
    await expect(log.append(topic, 0, [utf8("no")])).rejects.toBeInstanceOf(RecError);
    const again = await reopen();
    expect(await readAll(again, { partition: 0, offset: 0, maxBytes: 9 })).toEqual(["a"]);
    await again.close();
  });

  test("a failed append is reported, leaves nothing, and a later one succeeds", async () => {
    const { log, failNextAppend } = await create(roomy);
    if (failNextAppend === null) return await log.close();
    await log.append(topic, 0, [utf8("a")], { frame: utf8("f1") });
    failNextAppend();
    const failed = log.append(topic, 0, [utf8("lost")], { frame: utf8("f2") });
    await expect(failed).rejects.toBeInstanceOf(RecError);
    expect(log.endOffset(topic, 0)).toBe(1);
    expect(await log.lastFrame(topic, 0)).toEqual(utf8("f1"));
    expect(await log.append(topic, 0, [utf8("b")])).toBe(1);
    expect(await readAll(log, { partition: 0, offset: 0, maxBytes: 9 })).toEqual(["a", "b"]);
    await log.close();
  });
}

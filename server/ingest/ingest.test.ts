import { describe, expect, test } from "bun:test";
import { isNoId, requestIdOf } from "../../models/core/bytes.ts";
import { ManualClock } from "../../models/core/clock.ts";
import { RecError } from "../../models/core/errors.ts";
import { decodeEvent } from "../../models/core/event.ts";
import recommender from "../../models/definition/default.ts";
import { limits } from "../../models/limits.ts";
import { Turns } from "../turns.ts";
import { Deduplicator } from "./deduplicate.ts";
import { FakeIds, FakeLog, FakeMetrics } from "./fakes.ts";
import { EventIngest } from "./ingest.ts";
import { createEventCheck } from "./validate.ts";

const startMs = Date.UTC(2026, 0, 1);

function setUp(partitions = 1, users = new FakeIds(), turns?: Turns) {
  const log = new FakeLog(partitions);
  const parts = {
    users,
    items: new FakeIds(),
    log,
    deduplicator: new Deduplicator(1_000),
    clock: new ManualClock(startMs),
    metrics: new FakeMetrics(),
  };
  const ingest = new EventIngest({
    ...{ interactions: recommender.interactions, ...parts },
    ...(turns === undefined ? {} : { turns }),
  });
  const send = (events: readonly unknown[], key: string | null = null) =>
    ingest.ingest(
      events.map((value) => ({ value })),
      key,
    );
  const stored = () => log.records("events").map(decodeEvent);
  return { ...parts, ingest, send, stored };
}

const click = { type: "click", user: "u", item: "i" };
const counts = (answer: { accepted: number; duplicates: number; rejected: readonly unknown[] }) => [
  answer.accepted,
  answer.duplicates,
  answer.rejected.length,
];

describe("event ingest", () => {
  test("an accepted event stands in the log with rows, times and ids", async () => {
    const { send, stored, clock } = setUp();
    clock.advanceTo(startMs + 5);
    const requestId = "0123456789abcdef0123456789abcdef";
    const time = "2025-12-31T23:59:59Z";
    await send([click, { type: "watch", user: "u", item: "é😀", time, value: 2.5, requestId }]);
    const [first, second] = stored();
    expect(first).toMatchObject({
      type: 1,
      userRow: 0,
      itemRow: 0,
      user: "u",
      item: "i",
      value: 0,
    });
    expect(first?.timeMs).toBe(startMs + 5);
    expect(second).toMatchObject({ type: 4, userRow: 0, itemRow: 1, item: "é😀", value: 2.5 });
    expect(second).toMatchObject({ timeMs: startMs - 1_000, receivedMs: startMs + 5 });
    expect(second?.requestId).toEqual(requestIdOf(requestId));
    expect(isNoId(first!.requestId)).toBe(true);
  });

  test("identity: given, from content and time, from the key, or always new", async () => {
    const { send } = setUp();
    const at = { ...click, time: startMs };
    expect(
      counts(
        await send([
          { ...click, id: "e1" },
          { ...click, id: "e1" },
        ]),
      ),
    ).toEqual([1, 1, 0]);
    expect(counts(await send([{ ...click, id: "e1", item: "other" }]))).toEqual([0, 1, 0]);
    expect(counts(await send([at, at]))).toEqual([2, 0, 0]);
    expect(counts(await send([at, at, at]))).toEqual([1, 2, 0]);
    expect(counts(await send([click, click]))).toEqual([2, 0, 0]);
    expect(counts(await send([click, click]))).toEqual([2, 0, 0]);
    expect(counts(await send([click, click], "key"))).toEqual([2, 0, 0]);
    expect(counts(await send([click, click], "key"))).toEqual([0, 2, 0]);
    expect(counts(await send([click, click], "key2"))).toEqual([2, 0, 0]);
  });

  test("a refused event says why and leaves no trace", async () => {
    const { send, users, items, stored, metrics } = setUp();
    const answer = await send([
      { ...click, type: "smile" },
      { ...click, time: startMs + limits.futureLeadMs + 1 },
      { ...click, time: 1_700_000_000 },
      { ...click, value: 1 },
      { ...click, type: "watch" },
      { ...click, type: "watch", value: -1 },
      { ...click, user: "" },
      7,
    ]);
    expect(answer.rejected.map(({ index, code, path }) => [index, code, path])).toEqual([
      [0, "REC_INPUT_VALUE", "type"],
      [1, "REC_EVENT_FUTURE", "time"],
      [2, "REC_INPUT_TIME", "time"],
      [3, "REC_EVENT_VALUE", "value"],
      [4, "REC_EVENT_VALUE", "value"],
      [5, "REC_EVENT_VALUE", "value"],
      [6, "REC_INPUT_LENGTH", "user"],
      [7, "REC_INPUT_TYPE", ""],
    ]);
    expect([users.size, items.size, stored().length]).toEqual([0, 0, 0]);
    expect(metrics.counts.get("rec_events_rejected_total")).toBe(8);
  });

  test("the answer waits for the log", async () => {
    const { send, log } = setUp();
    const gate = Promise.withResolvers<void>();
    log.hold = gate.promise;
    let answered = 0;
    const first = send([{ ...click, id: "e" }]).then(() => answered++);
    const repeat = send([{ ...click, id: "e" }]).then(() => answered++);
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(0);
    gate.resolve();
    await Promise.all([first, repeat]);
    expect(answered).toBe(2);
  });

  test("a failed append takes its ids back and fails its duplicates", async () => {
    const { send, log, stored } = setUp();
    const gate = Promise.withResolvers<void>();
    log.hold = gate.promise;
    log.failNext = new RecError("REC_LOG_FULL", "full");
    const both = [send([{ ...click, id: "e" }]), send([{ ...click, id: "e" }])];
    gate.resolve();
    const results = await Promise.allSettled(both);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(counts(await send([{ ...click, id: "e" }]))).toEqual([1, 0, 0]);
    expect(stored()).toHaveLength(1);
  });

  describe("in turns", () => {
    /** A turn is over as soon as it begins: batches change over as often as they can. */
    const inTurns = () => setUp(1, new FakeIds(), new Turns(0));
    const batch = (from: number) =>
      Array.from({ length: 900 }, (_, i) => ({
        ...click,
        id: `e${from + i}`,
        user: `u${from + i}`,
      }));

    test("others go on meanwhile, and each batch is appended as one, in its order", async () => {
      const { send, stored } = inTurns();
      let free = 0;
      const timer = setInterval(() => free++, 0);
      const answers = await Promise.all([send(batch(0)), send(batch(5_000)), send(batch(100))]);
      clearInterval(timer);
      expect(free).toBeGreaterThan(0);
      expect(answers[1]).toMatchObject({ accepted: 900 });
      // The first and the third share 800 events: either may have taken one of them.
      expect(answers[0].accepted + answers[2].accepted).toBe(1_000);
      expect(answers[0].duplicates + answers[2].duplicates).toBe(800);
      const users = stored().map(({ user }) => Number(user.slice(1)));
      expect(new Set(users).size).toBe(1_900);
      // Within a batch the order sent: it falls only where one batch ends and the next begins.
      expect(users.filter((user, i) => i > 0 && user < users[i - 1]!).length).toBeLessThan(3);
    });

    test("a failed append of a batch fails those with duplicates of it", async () => {
      const { send, log, stored } = inTurns();
      log.failNext = new RecError("REC_LOG_FULL", "full");
      const both = await Promise.allSettled([send(batch(0)), send(batch(0))]);
      expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
      expect(stored()).toHaveLength(0);
      expect(counts(await send(batch(0)))).toEqual([900, 0, 0]);
    });
  });

  test("a full id table refuses only events of new ids", async () => {
    const { send } = setUp(1, new FakeIds(1));
    const answer = await send([click, { ...click, user: "v" }, { ...click, item: "j" }]);
    expect(counts(answer)).toEqual([2, 0, 1]);
    expect(answer.rejected[0]).toMatchObject({ index: 1, code: "REC_IDS_FULL" });
  });

  test("a user's events share a partition", async () => {
    const { send, log } = setUp(4);
    const users = ["a", "b", "c", "d", "e"];
    await send(users.flatMap((user) => [1, 2, 3].map((i) => ({ ...click, user, item: `${i}` }))));
    const homes = new Map<string, Set<number>>();
    for (let partition = 0; partition < 4; partition++) {
      for (const { user } of log.records("events", partition).map(decodeEvent)) {
        homes.set(user, (homes.get(user) ?? new Set()).add(partition));
      }
    }
    expect([...homes.keys()].sort()).toEqual(users);
    expect([...homes.values()].every((partitions) => partitions.size === 1)).toBe(true);
    expect(log.topics.size).toBe(4);
  });

  test("history keeps its own time as the time of arrival, and is idempotent", async () => {
    const { ingest, stored } = setUp();
    const check = createEventCheck(recommender.interactions);
    const result = check({ ...click, time: "2001-01-01T00:00:00Z" }, startMs);
    if ("refusal" in result) throw new Error(result.refusal.message);
    expect(counts(await ingest.ingestHistory([result.event]))).toEqual([1, 0, 0]);
    expect(counts(await ingest.ingestHistory([result.event]))).toEqual([0, 1, 0]);
    const timeMs = Date.UTC(2001, 0, 1);
    expect(stored()).toMatchObject([{ timeMs, receivedMs: timeMs }]);
  });
});

import { afterEach, describe, expect, test } from "bun:test";
import { text, utf8 } from "../../models/core/bytes.ts";
import { until } from "../loop.ts";
import { systemClock } from "../system-clock.ts";
import { RankingPool, type RankingPoolOptions } from "./pool.ts";
import { noMetrics } from "./state.ts";
import { recommendOf } from "./testing/recommend-of.ts";

const pools: RankingPool<null>[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.stop(500)));
});

async function started(options: Partial<RankingPoolOptions<null>> = {}) {
  const cleared: number[] = [];
  const released: number[] = [];
  const losses: string[] = [];
  const pool = new RankingPool<null>({
    entry: new URL("./testing/fake-thread.ts", import.meta.url),
    workers: 2,
    work: () => null,
    readersPerWorker: 4,
    readerBase: 0,
    readersMax: 32,
    inFlightMax: 64,
    fallback: () => utf8('{"fallback":true}'),
    clearReader: (reader) => cleared.push(reader),
    releaseServed: (worker) => released.push(worker),
    metrics: noMetrics,
    clock: systemClock,
    onLoss: (_worker, reason) => losses.push(reason),
    ...options,
  });
  pools.push(pool);
  await until("the threads are ready", 20_000, () => pool.ready);
  const ask = async (user: string, withinMs = 10_000): Promise<Record<string, unknown>> => {
    const deadline = systemClock.nowMs() + withinMs;
    return JSON.parse(text(await pool.recommend(recommendOf({ user }), deadline)));
  };
  return { pool, ask, cleared, released, losses };
}

describe("ranking pool", () => {
  test("answers thousands of requests, each its own, from all threads", async () => {
    const { pool, ask } = await started();
    const workers = new Set<unknown>();
    for (let round = 0; round < 50; round++) {
      const users = Array.from({ length: 60 }, (_, i) => `u${round}-${i}`);
      const answers = await Promise.all(users.map((user) => ask(user)));
      expect(answers.map(({ user }) => user)).toEqual(users);
      for (const { worker } of answers) workers.add(worker);
    }
    expect(workers).toEqual(new Set([0, 1]));
    expect(pool.queueLength).toBe(0);
  });

  test("a refusal keeps its code; a throwing handler costs only the quality", async () => {
    const { pool, ask } = await started();
    await expect(ask("refuse")).rejects.toMatchObject({ code: "REC_ITEM_UNKNOWN", path: "id" });
    expect(await ask("throw")).toEqual({ fallback: true });
    expect(await ask("fine")).toMatchObject({ user: "fine" });
    expect(pool.replaced).toBe(0);
  });

  test("an answer larger than the ring and one that waits arrive too", async () => {
    const { ask, pool } = await started();
    const deadline = systemClock.nowMs() + 10_000;
    const bytes = await pool.recommend(recommendOf({ user: "large" }), deadline);
    expect(bytes.length).toBe(3 << 20);
    expect(await ask("slow")).toMatchObject({ user: "slow" });
  });

  test("what is late is answered by the fallback at its deadline", async () => {
    const { ask, pool } = await started();
    expect(await ask("never", 40)).toEqual({ fallback: true });
    expect(pool.queueLength).toBe(0);
    expect(await ask("fine")).toMatchObject({ user: "fine" });
  });

  for (const fault of ["hang", "exit", "throw later"]) {
    test(`a thread that does "${fault}" is replaced, and nobody gets an error`, async () => {
      const { pool, ask, cleared, released, losses } = await started();
      const answers = Promise.all([ask(fault), ...Array.from({ length: 20 }, () => ask("slow"))]);
      await until("the thread is replaced", 5_000, () => pool.replaced === 1 && pool.ready);
      for (const answer of await answers) {
        expect(answer.fallback === true || answer.user !== undefined).toBe(true);
      }
      expect(losses.length).toBe(1);
      await until("its pins are cleared", 5_000, () => cleared.length === 4);
      expect((cleared[0] ?? -1) % 4).toBe(0);
      expect(released).toEqual([(cleared[0] ?? -1) / 4]);
      const after = await Promise.all(Array.from({ length: 20 }, () => ask("fine")));
      expect(after.every(({ user }) => user === "fine")).toBe(true);
    });
  }

  test("more than the queue holds is refused", async () => {
    const { ask } = await started({ inFlightMax: 8 });
    const asked = Array.from({ length: 20 }, () => ask("busy"));
    const ended = await Promise.allSettled(asked);
    const refused = ended.filter(({ status }) => status === "rejected");
    expect(refused.length).toBe(12);
    for (const one of refused) {
      expect(one).toMatchObject({ reason: { code: "REC_HTTP_BUSY" } });
    }
  });

  test("stop waits for what was taken", async () => {
    const { pool, ask } = await started();
    const asked = Array.from({ length: 10 }, () => ask("slow"));
    await pool.stop(3_000);
    for (const answer of await Promise.all(asked)) expect(answer).toMatchObject({ user: "slow" });
  });
});

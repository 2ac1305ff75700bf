import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../models/core/clock.ts";
import { Random } from "../../models/core/random.ts";
import { afterClick, appeal, behave, slateChances, tire } from "./choice-model.ts";
import { Environment } from "./environment.ts";
import { EventQueue } from "./event-queue.ts";
import { Oracle } from "./oracle.ts";
import { randomPolicy } from "./policies.ts";
import { PolicyRecommender } from "./policy-recommender.ts";
import type { ClientEvent, ItemDocument } from "./port.ts";
import { runRealTime, runVirtual, ScaledClock } from "./traffic.ts";
import { Population } from "./user-model.ts";
import { World } from "./world.ts";

const small = { seed: 3, users: 50, items: 120, categories: 6, newItemsPerHour: 240 };

class Recorder extends PolicyRecommender {
  readonly sent: ClientEvent[] = [];
  readonly documents: ItemDocument[] = [];

  override events(batch?: readonly ClientEvent[]): void {
    this.sent.push(...(batch ?? []));
  }

  override items(batch?: readonly ItemDocument[]): void {
    this.documents.push(...(batch ?? []));
  }
}

async function run(seed: number, minutes: number) {
  const world = new World({ ...small, seed });
  const clock = new ManualClock(world.options.startMs);
  const recommender = new Recorder();
  const environment = new Environment({ world, clock, recommender, sessionsPerSecond: 1 });
  recommender.serve(environment, randomPolicy(environment.population, new Random(seed)));
  await environment.publishItems();
  environment.start();
  const untilMs = world.options.startMs + minutes * 60_000;
  await runVirtual({ queue: environment.queue, clock, untilMs });
  return { world, recommender, environment };
}

describe("the world", () => {
  test("the favourite category of a small user id can be read from the id", () => {
    const world = new World();
    const population = new Population(world);
    const { startMs, categories } = world.options;
    for (let user = 0; user < 40; user++) {
      for (const hours of [0, 5, 50]) {
        expect(population.favourite(user, 0, startMs + hours * 3_600_000)).toBe(user % categories);
      }
    }
  });

  test("taste drifts at the stated rate", () => {
    const world = new World({ driftPerHour: 0.6, users: 3_000 });
    const population = new Population(world);
    let changes = 0;
    for (let user = 300; user < 3_000; user++) {
      for (let rank = 0; rank < 3; rank++) {
        const before = population.favourite(user, rank, world.options.startMs);
        const after = population.favourite(user, rank, world.options.startMs + 3_600_000);
        if (before !== after) changes++;
      }
    }
    // About 1 in 18 changes draws the same category again, which nobody can see.
    expect(changes / 2_700).toBeGreaterThan(0.5);
    expect(changes / 2_700).toBeLessThan(0.62);
  });

  test("new items take the slots of the oldest, whose ids are then unknown", () => {
    const world = new World(small);
    const { from, to } = world.advanceTo(world.options.startMs + 15 * 60_000);
    expect([from, to]).toEqual([120, 180]);
    expect(world.slotOf("i59")).toBe(-1);
    expect(world.slotOf("i60")).toBe(60);
    expect(world.slotOf("i179")).toBe(59);
    expect(world.slotOf("i180")).toBe(-1);
    expect(world.slotOf("x60")).toBe(-1);
    expect(world.idAt(59)).toBe("i179");
    expect(world.idAt(60)).toBe("i60");
    expect(new Set(Array.from({ length: 120 }, (_, slot) => world.idAt(slot))).size).toBe(120);
  });

  test("trends rise and fall", () => {
    const world = new World({ ...small, newItemsPerHour: 1 });
    const before = world.base.slice();
    world.advanceTo(world.options.startMs + 1_800_000);
    const moved = world.base.filter((value, slot) => Math.abs(value - before[slot]!) > 0.05);
    expect(moved.length).toBeGreaterThan(60);
  });

  test("a wrong size is refused by name", () => {
    expect(() => new World({ items: 0 })).toThrow("items is 0");
  });
});

describe("choices", () => {
  const world = new World(small);
  const population = new Population(world);

  test("the oracle's slate beats every random one, and holds nothing seen", () => {
    const session = population.startSession(7, world.options.startMs, 5);
    tire(population, session, [1, 2, 3, 4, 5]);
    population.markSeen(7);
    const chances = new Float64Array(10);
    const best = new Oracle(population).slate(session, 10);
    expect(new Set(best).size).toBe(10);
    expect(best.some((slot) => slot >= 1 && slot <= 5)).toBe(false);
    const bestClicks = slateChances(population, session, best, chances);
    const random = randomPolicy(population, new Random(5));
    for (let i = 0; i < 200; i++) {
      expect(slateChances(population, session, random.slate(session, 10), chances)).toBeLessThan(
        bestClicks,
      );
    }
  });

  test("repeats, saturation, later places and unknown items lower the chance", () => {
    const session = population.startSession(8, world.options.startMs, 5);
    const same = [...world.category.keys()].filter((slot) => world.category[slot] === 2);
    const chances = new Float64Array(10);
    population.markSeen(8);
    slateChances(population, session, [same[0]!, -1, same[0]!], chances);
    const [fresh] = chances;
    expect(chances[1]).toBe(0);
    expect(chances[2]).toBeLessThan(fresh!);
    tire(population, session, same.slice(0, 4));
    population.markSeen(8);
    slateChances(population, session, [same[0]!], chances);
    expect(chances[0]).toBeLessThan(fresh! / 2);
  });

  test("what follows a click happens as often as the truth says", () => {
    const random = new Random(12);
    const session = population.startSession(9, world.options.startMs, 5);
    const logit = appeal(world, session, 11);
    const counts = { liked: 0, converted: 0, finished: 0 };
    const n = 40_000;
    for (let i = 0; i < n; i++) {
      const outcome = behave(world, random, { session, slot: 11, chance: 1 });
      expect(outcome.watchSeconds).toBeLessThanOrEqual(world.durationSeconds[11]!);
      for (const name of ["liked", "converted", "finished"] as const) {
        if (outcome[name]) counts[name]++;
      }
    }
    expect(counts.liked / n).toBeCloseTo(afterClick.like(logit), 1.7);
    expect(counts.converted / n).toBeCloseTo(afterClick.convert(logit), 1.7);
    expect(counts.finished / n).toBeCloseTo(afterClick.finish(logit), 1.7);
  });
});

describe("the environment in virtual time", () => {
  test("a seed gives the same events again, another seed others", async () => {
    const [a, b, c] = [await run(1, 5), await run(1, 5), await run(2, 5)];
    expect(a.recommender.sent.length).toBeGreaterThan(1_000);
    expect(a.recommender.sent).toEqual(b.recommender.sent);
    expect(a.recommender.sent.slice(0, 50)).not.toEqual(c.recommender.sent.slice(0, 50));
  });

  test("events name what was shown, in the order of time, with ids of their own", async () => {
    const { recommender } = await run(4, 10);
    const { sent } = recommender;
    expect(new Set(sent.map((event) => event.id)).size).toBe(sent.length);
    for (let i = 1; i < sent.length; i++) {
      expect(sent[i]!.time).toBeGreaterThanOrEqual(sent[i - 1]!.time);
    }
    const key = (event: ClientEvent) => `${event.requestId} ${event.item} ${event.user}`;
    const shown = new Set(sent.filter(({ type }) => type === "impression").map(key));
    const clicks = new Set(sent.filter(({ type }) => type === "click").map(key));
    const other = sent.filter(({ type }) => type !== "impression");
    expect(new Set(other.map(({ type }) => type))).toEqual(
      new Set(["click", "watch", "like", "finish", "convert"]),
    );
    for (const event of other) {
      expect(shown.has(key(event))).toBe(true);
      expect(clicks.has(key(event))).toBe(true);
    }
  });

  test("hours leave nothing behind: queue and sessions stay as they are", async () => {
    const { environment, recommender, world } = await run(5, 60);
    expect(environment.queue.size).toBeLessThan(1_000);
    expect(environment.sessions).toBeLessThanOrEqual(50);
    expect(environment.lostEvents).toBe(0);
    const hidden = recommender.documents.filter((document) => document.hidden === true);
    expect(hidden.length).toBe(world.nextItem - 120);
    const figures = environment.report.total();
    expect(figures.clickRate / figures.expectedClickRate).toBeCloseTo(1, 1);
    expect(figures.oracleRate).toBeGreaterThan(figures.popularityRate);
    expect(figures.shareOfOracleLift).toBeLessThan(0);
  });

  test("a recommender that fails is asked again, and counted", async () => {
    const world = new World(small);
    const clock = new ManualClock(world.options.startMs);
    let calls = 0;
    const recommender = {
      recommend: () => {
        calls++;
        return Promise.reject(new Error("down"));
      },
      events: () => undefined,
      items: () => Promise.reject(new Error("down")),
    };
    const environment = new Environment({ world, clock, recommender, sessionsPerSecond: 1 });
    environment.start();
    await runVirtual({ queue: environment.queue, clock, untilMs: world.options.startMs + 60_000 });
    expect(calls).toBeGreaterThan(30);
    expect(environment.report.total().failed).toBeGreaterThanOrEqual(calls);
  });
});

describe("drivers", () => {
  test("the queue runs by time, ties in the order of scheduling, and is bounded", async () => {
    const queue = new EventQueue(300);
    const random = new Random(1);
    const ran: number[] = [];
    for (let i = 0; i < 300; i++) {
      const at = random.int(40);
      queue.at(at, (now) => void ran.push(now * 1_000 + i));
    }
    expect(() => queue.at(1, () => {})).toThrow("300 actions wait");
    await runVirtual({ queue, clock: new ManualClock(0), untilMs: 100 });
    expect(ran).toEqual(ran.slice().sort((a, b) => a - b));
    expect(ran.length).toBe(300);
  });

  test("an engine under the same clock is told of time in even steps", async () => {
    const queue = new EventQueue();
    const told: number[] = [];
    queue.at(250, () => void told.push(-1));
    const clock = new ManualClock(0);
    const advance = (timeMs: number) => void told.push(timeMs);
    await runVirtual({ queue, clock, untilMs: 400, advance, advanceEveryMs: 100 });
    expect(told).toEqual([100, 200, -1, 300, 400]);
  });

  test("in real time answers overlap, up to the bound, and the last is waited for", async () => {
    const queue = new EventQueue();
    let running = 0;
    let most = 0;
    let done = 0;
    for (let i = 0; i < 12; i++) {
      queue.at(1_000 + i, async () => {
        most = Math.max(most, ++running);
        await Bun.sleep(20);
        running--;
        done++;
      });
    }
    const clock = new ScaledClock({ startMs: 1_000, speed: 2 });
    await runRealTime({ queue, clock, untilMs: 1_300, inFlightMax: 5 });
    expect(done).toBe(12);
    expect(most).toBe(5);
  });
});

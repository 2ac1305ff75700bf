import { afterAll, describe, expect, test } from "bun:test";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { ManualClock } from "../../models/core/clock.ts";
import { Random } from "../../models/core/random.ts";
import { auc } from "../../models/evaluation/auc.ts";
import { IdVectors } from "../../models/layers/id-vectors.ts";
import type { Sample } from "../../models/training/sample.ts";
import { packColumns, unpackColumns } from "../../models/training/state-codec.ts";
import { drawFeed, feedShape } from "../../models/training/testing/feed-world.ts";
import { counterNames } from "../metrics.ts";
import {
  folder,
  inverted,
  kinds,
  metrics,
  online,
  ranker,
  releaseAll,
  roleAt,
  type Shared,
  sampleLog,
  shared,
  stateOf,
  stepTo,
} from "./testing/feed-trainer.ts";
import type { OnlineTrainer } from "./trainer.ts";

afterAll(releaseAll);
const reader = 0;

const feed = drawFeed(40_000, 7).samples;
/** The feed with clicks as frequent as asked for, `each` samples of every rate in turn. */
function withRates(rates: readonly number[], each: number): Sample[] {
  const random = new Random(5);
  const clicked = feed.filter(({ labels }) => labels[0] === 1);
  const passed = feed.filter(({ labels }) => labels[0] === 0);
  const all = rates.flatMap((rate) => Array.from({ length: each }, () => random.next() < rate));
  return all.map((isClick, i) => {
    const pool = isClick ? clicked : passed;
    const time = 1e12 + 20 * i;
    return { ...pool[i % pool.length]!, servedMs: time, emittedMs: time };
  });
}

function takeAll(trainer: OnlineTrainer, samples: readonly Sample[]) {
  return samples.flatMap((sample) => trainer.take(sample) ?? []);
}

/** AUC of clicks by the live version on samples that nothing has learned from. */
function liveAuc({ slots, ids, ...tables }: Shared): number {
  const users = new IdVectors(tables.users, ids.users);
  const items = new IdVectors(tables.items, ids.items);
  const { slot, version } = slots.current();
  const probe = drawFeed(3_000, 99).samples;
  const out = new Float32Array(feedShape.heads.length);
  const userVector = new Float32Array(feedShape.userEmbedding);
  const itemVectors = new Float32Array(feedShape.itemEmbedding);
  const scores = probe.map(({ userDense, itemDense, userRow, itemRow }) => {
    users.gather(Uint32Array.of(userRow), 1, version, userVector);
    items.gather(Uint32Array.of(itemRow), 1, version, itemVectors);
    const weights = slots.weights(slot);
    ranker.score({ weights, userDense, userVector, itemDense, itemVectors, count: 1 }, out);
    return out[0]!;
  });
  return auc({ scores, labels: probe.map(({ labels }) => labels[0]!) });
}

describe("online trainer", () => {
  test("publishes a version a batch, judged before it has learned the batch", () => {
    const memory = shared();
    const trainer = online(memory);
    trainer.publishNow();
    const outcomes = takeAll(trainer, feed.slice(0, 1_050));
    expect(outcomes.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(outcomes.map(({ published }) => published)).toEqual([false, ...Array(9).fill(true)]);
    expect(memory.slots.current().version).toBe(10);
    expect([trainer.offset, trainer.readOffset]).toEqual([1_000, 1_050]);
  });

  test("learns in hundreds where versions are rarer, and judges when one is due", () => {
    const memory = shared();
    const trainer = online(memory, { publishEvery: 500 });
    trainer.publishNow();
    const outcomes = takeAll(trainer, feed.slice(0, 2_100));
    expect(outcomes.length).toBe(21);
    expect(trainer.trainer.steps).toBe(21);
    const judged = outcomes.filter(({ verdict }) => verdict !== null);
    expect(judged.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5]);
    expect(memory.slots.current().version).toBe(5);
  });

  test("one user has a share of a batch, not all of it", () => {
    const trainer = online(shared());
    trainer.publishNow();
    const mine = feed.slice(0, 80).map((sample) => ({ ...sample, userRow: 3 }));
    const others = feed.slice(80, 100).map((sample, i) => ({ ...sample, userRow: 10 + i }));
    const [outcome] = takeAll(trainer, [...mine, ...others]);
    expect(outcome).toMatchObject({ learned: 40, capped: 60, refused: 0 });
    // Over ten batches it is a slate's worth or four times the average, whatever she sends.
    const learned = takeAll(
      trainer,
      Array(30)
        .fill([...mine, ...others])
        .flat(),
    );
    const hers = learned.map((one) => one.learned - 20);
    for (let from = 0; from + 10 <= hers.length; from++) {
      const sum = hers.slice(from, from + 10).reduce((all, one) => all + one, 0);
      expect(sum).toBeLessThanOrEqual(70);
    }
  });

  test("in the first hour labels may turn: a new world is not taken for a poisoned one", () => {
    const trainer = online(shared(), { matureMs: 3_600_000 });
    trainer.publishNow();
    takeAll(trainer, feed.slice(0, 20_000));
    const outcomes = takeAll(trainer, feed.slice(20_000, 26_000).map(inverted));
    const reasons = new Set(outcomes.map(({ verdict }) => verdict?.reason));
    expect(reasons.has("labels contradict the elder")).toBe(false);
    expect(outcomes.slice(-10).some(({ published }) => published)).toBe(true);
  });

  test("a promoted model judges labels after 2,000 samples, not after another hour", () => {
    const trainer = online(shared(), { matureMs: 10_000 });
    trainer.publishNow();
    takeAll(trainer, feed.slice(0, 12_000));
    // As `promote` does.
    trainer.forgetVerdicts();
    takeAll(trainer, feed.slice(12_000, 14_500));
    const outcomes = takeAll(trainer, feed.slice(14_500, 16_500).map(inverted));
    const reasons = outcomes.map(({ verdict }) => verdict?.reason);
    expect(reasons).toContain("labels contradict the elder");
    expect(outcomes.slice(2).some(({ published }) => published)).toBe(false);
  });

  test("labels that turn over a day are held against one of before", () => {
    const memory = shared();
    // Two thirds of an hour a batch: the anchor is never older than two, and the elder a day.
    const trainer = online(memory);
    const slowly = new Random(4);
    const hourly = feed.slice(0, 30_000).map((sample, i) => {
      const emittedMs = sample.emittedMs + i * 24_000;
      const turned = i >= 16_000 && slowly.next() < (i - 16_000) / 24_000;
      return turned ? inverted({ ...sample, emittedMs }) : { ...sample, emittedMs };
    });
    trainer.publishNow();
    takeAll(trainer, hourly.slice(0, 16_000));
    const before = liveAuc(memory);
    const outcomes = takeAll(trainer, hourly.slice(16_000));
    const reasons = outcomes.map(({ verdict }) => verdict?.reason);
    expect(reasons).toContain("labels contradict the elder");
    expect(liveAuc(memory)).toBeGreaterThan(before - 0.05);
  });

  test("inverted labels are not served, the candidate goes back, learning goes on", () => {
    const [memory, bare] = [shared(), shared()];
    const trainer = online(memory);
    const unguarded = online(bare, { guarded: false });
    for (const one of [trainer, unguarded]) {
      one.publishNow();
      takeAll(one, feed.slice(0, 20_000));
    }
    const before = liveAuc(memory);
    expect(before).toBeGreaterThan(0.7);
    const bad = feed.slice(20_000, 26_000).map(inverted);
    takeAll(unguarded, bad);
    expect(liveAuc(bare)).toBeLessThan(0.5);
    const outcomes = takeAll(trainer, bad);
    const reasons = new Set(outcomes.map(({ verdict }) => verdict?.reason));
    expect(reasons.has("labels contradict the elder")).toBe(true);
    expect(outcomes.some(({ verdict }) => verdict?.reload)).toBe(true);
    expect(outcomes.slice(2).some(({ published }) => published)).toBe(false);
    expect(liveAuc(memory)).toBeGreaterThan(before - 0.01);
    const { version } = memory.slots.current();
    takeAll(trainer, feed.slice(26_000));
    expect(memory.slots.current().version).toBeGreaterThan(version);
    expect(liveAuc(memory)).toBeGreaterThan(before - 0.01);
  }, 30_000);

  test("labels that turn slowly are learned for a while, and then the anchor answers", () => {
    const memory = shared();
    const trainer = online(memory);
    trainer.publishNow();
    takeAll(trainer, feed.slice(0, 20_000));
    const before = liveAuc(memory);
    const random = new Random(3);
    const slow = feed.slice(20_000).map((sample, i) => {
      return random.next() < i / 150_000 ? inverted(sample) : sample;
    });
    const outcomes = takeAll(trainer, slow);
    const back = outcomes.filter(({ verdict }) => verdict?.toElder);
    expect(back).toHaveLength(1);
    expect(back[0]?.published).toBe(false);
    expect(memory.slots.current().version).toBe(back[0]!.version);
    // The anchor had seen half as many samples. Learning went back as well, and goes on from there.
    expect(liveAuc(memory)).toBeGreaterThan(before - 0.1);
    takeAll(trainer, feed.slice(20_000));
    expect(memory.slots.current().version).toBeGreaterThan(back[0]!.version);
    expect(liveAuc(memory)).toBeGreaterThan(before - 0.02);
  }, 30_000);

  for (const rates of [
    [0.01, 0.01],
    [0.5, 0.5],
    [0.05, 0.25],
    [0.25, 0.05],
  ] as const) {
    test(`base rates that are honest do not stop it: ${rates.join(" to ")}`, () => {
      const memory = shared();
      const trainer = online(memory);
      trainer.publishNow();
      const outcomes = takeAll(trainer, withRates(rates, 20_000));
      const refused = outcomes.filter(({ verdict }) => verdict?.accepted !== true);
      expect(refused.length).toBeLessThan(0.1 * outcomes.length);
      expect(memory.slots.current().version).toBeGreaterThan(trainer.version - 5);
      const { calibration, count, base } = trainer.metrics()[0]!;
      // Off by as much as so few clicks are by chance, and by what drifts on.
      const chance = 3 / Math.sqrt(count * base);
      expect(Math.abs(Math.log(calibration))).toBeLessThan(Math.log(1.5) + chance);
    }, 30_000);
  }

  test("a state with one older model is restored: it is anchor and elder", () => {
    const trainer = online(shared());
    trainer.publishNow();
    takeAll(trainer, feed.slice(0, 12_000));
    const older = unpackColumns(trainer.save(), 12).slice(0, 10);
    const restored = online(shared());
    restored.restore(packColumns(older));
    const now = unpackColumns(restored.save(), 12);
    expect(now.slice(0, 10)).toEqual(older);
    // The anchor is the elder, and due.
    expect(now.slice(10)).toEqual([new Uint8Array(8), new Uint8Array(0)]);
  });

  test("while a reader holds an older version, rows go with the next publish", () => {
    const memory = shared();
    const trainer = online(memory);
    trainer.publishNow();
    const { slots } = memory;
    slots.pin(reader);
    takeAll(trainer, feed.slice(0, 300));
    // Version 2 went live beside the pinned one; a third would have taken the reader's rows.
    expect(slots.current().version).toBe(2);
    slots.unpin(reader);
    takeAll(trainer, feed.slice(300, 400));
    expect(slots.current().version).toBe(4);
    expect(liveAuc(memory)).toBeGreaterThan(0);
  });
});

describe("trainer role", () => {
  const poisoned = [...feed.slice(0, 15_000), ...feed.slice(15_000, 17_000).map(inverted)];
  const stream = [...poisoned, ...feed.slice(17_000, 20_000)];

  test.each(kinds)(
    "a snapshot and what came after give the same: %s ids",
    async (kind) => {
      // Over ten hours, so that rows change hands.
      const spread = stream.map((sample) => {
        const times = { servedMs: 1_800 * sample.servedMs, emittedMs: 1_800 * sample.emittedMs };
        return { ...sample, ...times };
      });
      const log = await sampleLog(spread);
      const through = shared(kind);
      const whole = await roleAt({ memory: through, directory: `whole ${kind}`, log });
      await stepTo(whole.role, whole.trainer, stream.length);
      expect(whole.warnings.some((text) => text.includes("went back"))).toBe(true);
      const first = shared(kind);
      const cut = await roleAt({ memory: first, directory: `cut ${kind}`, log });
      await stepTo(cut.role, cut.trainer, 12_345);
      cut.role.close();
      const second = shared(kind);
      const resumed = await roleAt({ memory: second, directory: `cut ${kind}`, log });
      // What was live at the snapshot answers at once, under its own version.
      expect(second.slots.current().version).toBe(first.slots.current().version);
      expect(liveAuc(second)).toBe(liveAuc(first));
      await stepTo(resumed.role, resumed.trainer, stream.length);
      expect(stateOf(resumed.trainer, second)).toEqual(stateOf(whole.trainer, through));
      expect(second.slots.current().version).toBe(through.slots.current().version);
      expect(liveAuc(second)).toBe(liveAuc(through));
      await log.close();
    },
    30_000,
  );

  test("weights that are taken back again and again are written now and then", async () => {
    const log = await sampleLog(stream);
    const clock = new ManualClock(1e12);
    const { role, trainer, snapshots } = await roleAt({
      ...{ memory: shared(), directory: "back", log, clock },
    });
    const counted = () => metrics.read().counters[counterNames.indexOf("rec_model_reloads_total")]!;
    const earlier = counted();
    const reloads = () => counted() - earlier;
    while (reloads() < 2 && (await role.step()) > 0);
    expect(reloads()).toBeGreaterThanOrEqual(2);
    expect(snapshots.list()).toHaveLength(0);
    clock.advanceTo(1e12 + 15_000);
    const before = reloads();
    while (reloads() === before && (await role.step()) > 0);
    expect(reloads()).toBeGreaterThan(before);
    expect(snapshots.list()).toHaveLength(1);
    await stepTo(role, trainer, stream.length);
    await log.close();
  }, 30_000);

  test.each(kinds)(
    "a thread that starts again leaves what is live: %s ids",
    async (kind) => {
      const turned = feed.slice(15_000, 15_400).map(inverted);
      const stream = [...feed.slice(0, 15_000), ...turned, ...feed.slice(15_400, 22_000)];
      const log = await sampleLog(stream);
      const through = shared(kind);
      const whole = await roleAt({ memory: through, directory: `unbroken ${kind}`, log });
      await stepTo(whole.role, whole.trainer, stream.length);
      expect(whole.warnings.some((text) => text.includes("went back"))).toBe(true);
      const memory = shared(kind);
      const first = await roleAt({ memory, directory: `thread ${kind}`, log });
      await stepTo(first.role, first.trainer, 13_000);
      first.role.snapshot();
      const earlier = `earlier ${kind}`;
      cpSync(join(folder, `thread ${kind}`), join(folder, earlier), { recursive: true });
      await stepTo(first.role, first.trainer, stream.length);
      const { version } = memory.slots.current();
      const before = liveAuc(memory);
      // Later snapshots are lost: candidates are refused again, and taken back, below what is live.
      const next = await roleAt({ memory, directory: earlier, log });
      expect(next.trainer.version).toBeLessThan(150);
      expect(version).toBeGreaterThan(160);
      expect(memory.slots.current().version).toBe(version);
      expect(liveAuc(memory)).toBe(before);
      await stepTo(next.role, next.trainer, stream.length);
      expect(next.warnings.some((text) => text.includes("went back"))).toBe(true);
      // Below what is live it learned the same.
      expect(stateOf(next.trainer, memory)).toEqual(stateOf(whole.trainer, through));
      await log.close();
    },
    30_000,
  );

  test("says once a minute that it refuses, and counts every time, by reason", async () => {
    const { counters: before } = metrics.read();
    const log = await sampleLog(poisoned);
    const clock = new ManualClock(1e12);
    const { role, trainer, warnings } = await roleAt({
      ...{ memory: shared(), directory: "warned", log, clock },
    });
    await stepTo(role, trainer, 16_500);
    const refused = () => warnings.filter((text) => text.includes("was refused"));
    expect(refused()).toHaveLength(1);
    clock.advanceTo(1e12 + 60_000);
    await stepTo(role, trainer, poisoned.length);
    expect(refused()).toHaveLength(2);
    const leftOut = Number(/and (\d+) like it before/.exec(refused()[1]!)?.[1]);
    expect(leftOut).toBeGreaterThan(2);
    const { counters: after } = metrics.read();
    const added = counterNames.flatMap((name, i) => {
      const isRefusal = name.startsWith("rec_model_publishes_refused_total");
      const by = after[i]! - before[i]!;
      return isRefusal && by > 0 ? [[name, by] as const] : [];
    });
    expect(added.map(([name]) => name)).toEqual([
      'rec_model_publishes_refused_total{reason="labels"}',
    ]);
    expect(added[0]?.[1]).toBe(trainer.refusals);
    expect(leftOut + 2).toBeLessThanOrEqual(trainer.refusals);
    await log.close();
  }, 30_000);

  test("promote and roll back serve snapshots; readers keep their rows", async () => {
    const log = await sampleLog(feed.slice(0, 12_000));
    const memory = shared();
    const { role, trainer, snapshots } = await roleAt({ memory, directory: "promote", log });
    const aucs: number[] = [];
    for (const offset of [2_000, 6_000, 10_000]) {
      await stepTo(role, trainer, offset);
      role.snapshot();
      aucs.push(liveAuc(memory));
    }
    const versions = snapshots.list().map(({ version }) => version);
    expect(versions.length).toBe(3);
    const live = memory.slots.current().version;
    memory.slots.pin(reader);
    const rows = new Float32Array(64 * feedShape.userEmbedding);
    const all = Uint32Array.from({ length: 64 }, (_, i) => i);
    memory.users.gather(all, 64, live, rows);
    const kept = rows.slice();
    const answer = JSON.parse(await role.command({ name: "rollback" }));
    memory.users.gather(all, 64, live, rows);
    expect(rows).toEqual(kept);
    memory.slots.unpin(reader);
    expect(answer.live).toBeGreaterThan(live);
    expect(answer.guard).toEqual({ refusals: 0, verdict: null });
    expect(Math.abs(liveAuc(memory) - aucs[1]!)).toBeLessThan(0.01);
    // Once more goes one further back, not to and fro.
    await role.command({ name: "rollback" });
    expect(Math.abs(liveAuc(memory) - aucs[0]!)).toBeLessThan(0.01);
    await role.command({ name: "promote", version: versions[0]! });
    expect(Math.abs(liveAuc(memory) - aucs[2]!)).toBeLessThan(0.01);
    expect(role.command({ name: "promote", version: 1_000_000 })).rejects.toThrow("no snapshot");
    const { version } = memory.slots.current();
    await stepTo(role, trainer, 12_000);
    expect(trainer.offset).toBe(12_000);
    expect(memory.slots.current().version).toBeGreaterThan(version);
    await log.close();
  }, 30_000);

  test("keeps the newest snapshots and one of each of the last hours", async () => {
    const log = await sampleLog(feed.slice(0, 400));
    const clock = new ManualClock(1e12);
    const memory = shared();
    const place = { memory, directory: "kept", log, clock };
    const { role, trainer, snapshots } = await roleAt(place);
    await stepTo(role, trainer, 400);
    for (let i = 0; i < 40; i++) {
      clock.advanceTo(1e12 + i * 30 * 60_000);
      trainer.versionBase++;
      role.snapshot();
    }
    const hours = snapshots.list().map(({ createdMs }) => (createdMs - 1e12) / 3_600_000);
    expect(hours.slice(0, 10)).toEqual([19.5, 19, 18.5, 18, 17.5, 17, 16.5, 16, 15.5, 15]);
    expect(hours.length).toBeGreaterThan(10);
    expect(hours.length).toBeLessThan(16);
    expect(hours.at(-1)).toBeGreaterThan(12);
    await log.close();
  });
});

import { expect, test } from "bun:test";
import type { EventRecord } from "../../models/core/event.ts";
import { event, JoinerBench, keyOf, known, slate, startMs } from "./testing/joiner-bench.ts";
import type { JoinerRole } from "./worker.ts";

test.each([false, true])(
  "what names no slate is of what had left by then; restart: %p",
  async (restarts) => {
    const bench = new JoinerBench();
    let role = await bench.open();
    const old = slate("old", 4, [10, 11], startMs);
    await bench.arrive({ receivedMs: startMs, slate: old });
    await role.step();
    const timeMs = startMs + 51_000;
    const like = event({ type: 2, user: 4, item: 10, timeMs, id: "l" });
    const ahead = event({ type: 1, user: 4, item: 11, timeMs: timeMs + 9_000, id: "c" });
    await bench.arrive({ receivedMs: timeMs, event: like });
    await bench.arrive({ receivedMs: timeMs, event: { ...ahead, receivedMs: timeMs } });
    await role.step();
    if (restarts) role = await bench.open();
    // The record of a slate that had left by then waited for the disk; a later one's did not.
    const newer = slate("newer", 4, [10, 11], timeMs - 1_000);
    const later = slate("later", 4, [10, 11], timeMs + 2_000);
    await bench.arrive({ receivedMs: timeMs + 2_300, slate: later });
    await role.step();
    await bench.arrive({ receivedMs: timeMs + 2_500, slate: newer });
    await role.step();
    await bench.finish();
    const labelled = (await bench.samples()).filter(({ labels }) => labels.some((one) => one > 0));
    expect(labelled.map((sample) => [keyOf(sample), ...sample.labels.slice(0, 2)])).toEqual([
      [`${newer.requestId.join()}/0`, 0, 1],
      [`${newer.requestId.join()}/1`, 1, 0],
    ]);
  },
);

test.each([false, true])(
  "a record that takes longer gets none of what was decided, counted once; restart: %p",
  async (restarts) => {
    const bench = new JoinerBench();
    let role = await bench.open();
    const old = slate("old", 4, [10, 11], startMs);
    await bench.arrive({ receivedMs: startMs, slate: old });
    const timeMs = startMs + 20_000;
    const touch = (type: number, item: number, id: string, more: Partial<EventRecord> = {}) =>
      bench.arrive({
        receivedMs: timeMs,
        event: event({ type, user: 4, item, timeMs, id }, more),
      });
    const committed = async (role: JoinerRole, afterMs: number) => {
      bench.clock.advanceTo(timeMs + afterMs);
      for (let i = 0; i < 20; i++) await touch(0, 10, `${i} shown after ${afterMs}`);
      await role.step();
    };
    const newer = slate("newer", 4, [10, 12], timeMs - 1_000);
    await touch(1, 10, "clicked before, too");
    await touch(2, 12, "of no other slate");
    await touch(2, 11, "not in the newer one");
    await touch(3, 10, "named", { requestId: newer.requestId });
    await bench.arrive({
      receivedMs: timeMs,
      event: event({ type: 2, user: 9, item: 12, timeMs, id: "of another user" }),
    });
    await role.step();
    await committed(role, 12_000);
    if (restarts) role = await bench.open();
    await bench.arrive({ receivedMs: timeMs + 15_000, slate: newer });
    await role.step();
    expect(role.core.counts.decidedEarly).toBe(2);
    const again = slate("again", 4, [10], timeMs - 500);
    await bench.arrive({ receivedMs: timeMs + 16_000, slate: again });
    await committed(role, 17_000);
    if (restarts) role = await bench.open();
    await bench.finish();
    expect(role.core.counts).toMatchObject({ decidedEarly: 2 });
    const labels = new Map((await bench.samples()).map((one) => [keyOf(one), [...one.labels]]));
    expect(labels.get(known("old", 0))).toEqual([1, 0, 0, 0, 0]);
    expect(labels.get(known("old", 1))).toEqual([0, 1, 0, 0, 0]);
    expect(labels.get(known("newer", 0))).toEqual([0, 0, 1, 0, 0]);
    expect(labels.get(known("newer", 1))).toEqual([0, 0, 0, 0, 0]);
    expect(labels.get(known("again", 0))).toEqual([0, 0, 0, 0, 0]);
  },
);

test("more that waits than there is room for is given to what is known by then", async () => {
  const bench = new JoinerBench({ waitingMax: 8 });
  const role = await bench.open();
  const items = Array.from({ length: 40 }, (_, i) => i);
  await bench.arrive({ receivedMs: startMs, slate: slate("a", 4, items, startMs) });
  await role.step();
  for (const item of items) {
    const timeMs = startMs + 1_000 + item;
    const click = event({ type: 1, user: 4, item, timeMs, id: `c${item}` });
    await bench.arrive({ receivedMs: timeMs, event: click });
  }
  await role.step();
  expect(role.core.live.waiting).toBeLessThanOrEqual(8);
  await bench.finish();
  expect((await bench.samples()).map(({ labels }) => labels[0])).toEqual(items.map(() => 1));
  expect(role.core.counts.orphans).toBe(0);
});

test("a restart remembers what was decided while no slate was kept", async () => {
  const bench = new JoinerBench();
  let role = await bench.open();
  const shown = async (at: number) => {
    for (let i = 0; i < 20; i++) {
      const touch = { type: 0, user: 1, item: 1, timeMs: at, id: `${at}/${i}` };
      await bench.arrive({ receivedMs: at, event: event(touch) });
    }
    await role.step();
  };
  const click = event({ type: 1, user: 4, item: 10, timeMs: startMs, id: "click" });
  await bench.arrive({ receivedMs: startMs, event: click });
  await role.step();
  await shown(startMs + 12_000);
  await shown(startMs + 12_500);
  role = await bench.open();
  const late = slate("late", 4, [10], startMs - 1_000);
  await bench.arrive({ receivedMs: startMs + 13_000, slate: late });
  await shown(startMs + 14_000);
  expect(role.core.counts.decidedEarly).toBe(1);
  await shown(startMs + 120_000);
  role = await bench.open();
  await bench.finish();
  expect(role.core.counts.decidedEarly).toBe(1);
  expect((await bench.samples()).map(({ labels }) => labels[0])).toEqual([0]);
});

import { expect, test } from "bun:test";
import { callingThread, type ThreadUsage, threadUsage } from "../thread-usage.ts";
import { Heart, HeartWatch } from "./heartbeat.ts";

/** Looks every 50 ms at a thread that runs so much of each; the time of the first fault. */
function firstFault(each: { ranMs: number; runnable: boolean } | null, beatEvery = 0) {
  const usage = { ranMs: 1_000, runnable: each?.runnable ?? false };
  const watch = new HeartWatch(0, () => (each === null ? null : usage));
  const heart = new Heart(watch.shared, 7);
  watch.restart(0);
  for (let nowMs = 50; nowMs <= 5_000; nowMs += 50) {
    usage.ranMs += each?.ranMs ?? 0;
    if (beatEvery > 0 && nowMs % beatEvery === 0) heart.beat();
    if (watch.look(nowMs) !== null) return nowMs;
  }
  return Number.POSITIVE_INFINITY;
}

test("a thread that loops is lost by what it ran, whoever shares its core", () => {
  expect(firstFault({ ranMs: 50, runnable: true })).toBe(250);
  expect(firstFault({ ranMs: 10, runnable: true })).toBe(1_050);
});

test("a thread that sleeps without a beat is lost, one that only waits for a core is not", () => {
  expect(firstFault({ ranMs: 0, runnable: false })).toBe(400);
  expect(firstFault({ ranMs: 0, runnable: true })).toBe(Number.POSITIVE_INFINITY);
});

test("a beat ends the silence; where the system does not tell, time alone counts", () => {
  expect(firstFault({ ranMs: 50, runnable: true }, 200)).toBe(Number.POSITIVE_INFINITY);
  expect(firstFault(null)).toBe(400);
  expect(firstFault(null, 300)).toBe(Number.POSITIVE_INFINITY);
});

test("the system is not asked after a thread that beats", () => {
  let asked = 0;
  const watch = new HeartWatch(0, () => {
    asked++;
    return null;
  });
  const heart = new Heart(watch.shared, 7);
  for (let nowMs = 50; nowMs <= 1_000; nowMs += 50) {
    heart.beat();
    watch.look(nowMs);
  }
  expect(asked).toBe(0);
  watch.look(1_050);
  expect(asked).toBe(1);
});

test("silence while nobody could look is forgotten", () => {
  const watch = new HeartWatch(0, () => null);
  watch.restart(10_000);
  expect(watch.look(10_300)).toBeNull();
  expect(watch.look(10_400)).toContain("400 ms of sleep");
});

test.if(process.platform === "linux")("the system tells what a thread has run", () => {
  const usage = (): ThreadUsage => {
    const found = threadUsage(callingThread());
    if (found === null) throw new Error("the calling thread has no usage");
    return found;
  };
  const before = usage();
  while (usage().ranMs < before.ranMs + 20);
  expect(usage().runnable).toBe(true);
  expect(threadUsage(0x7fff_fff0)).toBeNull();
});

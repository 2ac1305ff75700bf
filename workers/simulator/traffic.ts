import type { Clock, ManualClock } from "../../models/core/clock.ts";
import type { EventQueue } from "./event-queue.ts";

/** Drivers of an event queue. The same actions run under a clock that jumps or one that flows. */

/**
 * Runs everything due up to `untilMs`, moving the clock from action to action; each action is
 * waited for, so a run is a function of its seed. `advance` tells an engine under the same clock
 * how late it is, at least every `advanceEveryMs`.
 */
export async function runVirtual(options: {
  queue: EventQueue;
  clock: ManualClock;
  untilMs: number;
  advance?: (timeMs: number) => void | Promise<void>;
  advanceEveryMs?: number;
}): Promise<void> {
  const { queue, clock, untilMs, advance, advanceEveryMs = 100 } = options;
  let toldMs = clock.nowMs();
  const tell = async (toMs: number) => {
    while (advance !== undefined && toMs - toldMs >= advanceEveryMs) {
      toldMs += advanceEveryMs;
      clock.advanceTo(toldMs);
      await advance(toldMs);
    }
  };
  while (queue.nextMs() <= untilMs) {
    if (queue.nextMs() - toldMs >= advanceEveryMs) await tell(queue.nextMs());
    const entry = queue.take();
    if (entry === undefined) break;
    clock.advanceTo(entry.timeMs);
    const done = entry.run(clock.nowMs());
    if (done instanceof Promise) await done;
  }
  await tell(untilMs);
  clock.advanceTo(untilMs);
}

/** Real time, or `speed` times as fast. */
export class ScaledClock implements Clock {
  readonly #startMs: number;
  readonly #speed: number;
  readonly #realStartMs: number;

  constructor(options: { startMs: number; speed: number }) {
    this.#startMs = options.startMs;
    this.#speed = options.speed;
    this.#realStartMs = performance.timeOrigin + performance.now();
  }

  nowMs(): number {
    const real = performance.timeOrigin + performance.now() - this.#realStartMs;
    return this.#startMs + real * this.#speed;
  }

  /** The real time at which this clock shows `simulatedMs`. */
  realMs(simulatedMs: number): number {
    return this.#realStartMs + (simulatedMs - this.#startMs) / this.#speed;
  }
}

const SLEEP_MAX_MS = 50;

/**
 * Runs actions as their time comes; those that wait for an answer go on beside each other, at most
 * `inFlightMax` of them. Actions that became due meanwhile run late, never not. Ends at `untilMs`
 * or once `signal` fires, after the last answer is in.
 */
export async function runRealTime(options: {
  queue: EventQueue;
  clock: ScaledClock;
  untilMs: number;
  inFlightMax?: number;
  signal?: AbortSignal;
}): Promise<{ lateMsMax: number }> {
  const { queue, clock, untilMs, inFlightMax = 256, signal } = options;
  const inFlight = new Set<Promise<void>>();
  let lateMsMax = 0;
  while (clock.nowMs() < untilMs && signal?.aborted !== true) {
    const now = clock.nowMs();
    if (inFlight.size >= inFlightMax) {
      await Promise.race(inFlight);
    } else if (queue.nextMs() <= now) {
      lateMsMax = Math.max(lateMsMax, now - queue.nextMs());
      launch(queue, now, inFlight);
    } else {
      await Bun.sleep(Math.min(SLEEP_MAX_MS, Math.max(1, sleepMs(queue, clock))));
    }
  }
  await Promise.allSettled(inFlight);
  return { lateMsMax };
}

function sleepMs(queue: EventQueue, clock: ScaledClock): number {
  const nextMs = queue.nextMs();
  if (nextMs === Number.POSITIVE_INFINITY) return SLEEP_MAX_MS;
  return clock.realMs(nextMs) - clock.realMs(clock.nowMs());
}

function launch(queue: EventQueue, nowMs: number, inFlight: Set<Promise<void>>): void {
  const done = queue.take()?.run(nowMs);
  if (!(done instanceof Promise)) return;
  const kept = done.finally(() => inFlight.delete(kept));
  inFlight.add(kept);
}

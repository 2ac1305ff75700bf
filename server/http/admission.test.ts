import { describe, expect, test } from "bun:test";
import { Admission } from "./admission.ts";

const options = {
  ...{ inFlightMax: 100, waitMsMax: 40, standingMsMax: 12 },
  ...{ inFlightFloor: 2, bytesMax: 1_000 },
};

/** One server, `serviceMs` each, `arrivals` a service time: what was answered, and how late. */
function overload(admission: Admission, serviceMs: number, arrivals: number) {
  const queue: number[] = [];
  const waits: number[] = [];
  let refused = 0;
  let freeAtMs = 0;
  for (let i = 0; i < 5_000; i++) {
    const nowMs = (i * serviceMs) / arrivals;
    while (queue.length > 0 && Math.max(freeAtMs, queue[0]!) + serviceMs <= nowMs) {
      const enteredMs = queue.shift()!;
      freeAtMs = Math.max(freeAtMs, enteredMs) + serviceMs;
      waits.push(freeAtMs - enteredMs);
      admission.leave({ bytes: 0, enteredMs, leftMs: freeAtMs });
    }
    if (admission.enter(0)) queue.push(nowMs);
    else refused++;
  }
  return { waits, refused };
}

describe("admission", () => {
  test("bounds what is in flight, and lets in again", () => {
    const admission = new Admission({ ...options, inFlightMax: 2 });
    expect([admission.enter(0), admission.enter(0), admission.enter(0)]).toEqual([
      true,
      true,
      false,
    ]);
    admission.leave({ bytes: 0, enteredMs: 0, leftMs: 1 });
    expect(admission.enter(0)).toBe(true);
  });

  test("bounds the bytes in flight, but takes a large one alone", () => {
    const admission = new Admission(options);
    expect(admission.enter(2_000)).toBe(true);
    expect(admission.enter(1)).toBe(false);
    admission.leave({ bytes: 2_000, enteredMs: 0, leftMs: 1 });
    expect([admission.enter(600), admission.enter(600)]).toEqual([true, false]);
  });

  test("under overload by 5 keeps the server busy and the waits short", () => {
    const { waits, refused } = overload(new Admission(options), 4, 5);
    // 5,000 arrivals in 1,000 service times.
    expect(waits.length).toBeGreaterThan(980);
    expect(refused).toBeGreaterThan(3_900);
    const late = waits.slice(200).filter((ms) => ms > options.standingMsMax + 2 * 4);
    expect(late).toEqual([]);
  });

  test("a burst may wait longer than a queue that stands", () => {
    const admission = new Admission(options);
    // Learns 4 ms a request, one at a time.
    for (let i = 0; i < 200; i++) {
      admission.enter(0);
      admission.leave({ bytes: 0, enteredMs: 4 * i, leftMs: 4 * i + 4 });
    }
    const fill = () => {
      let taken = 0;
      while (admission.enter(0)) taken++;
      return taken;
    };
    const burst = fill();
    expect(burst).toBeGreaterThan(8);
    // Five for each place that becomes free, and whole batches leave at once.
    let nowMs = 800;
    for (let batch = 0; batch < 50; batch++) {
      const leaving = admission.inFlight;
      for (let i = 0; i < leaving; i++) {
        nowMs += 4;
        admission.leave({ bytes: 0, enteredMs: 800, leftMs: nowMs });
      }
      for (let i = 0; i < 5 * leaving; i++) admission.enter(0);
    }
    expect(admission.inFlight).toBeLessThan(burst);
    expect(admission.waitMs).toBeLessThanOrEqual(options.standingMsMax + 4);
    // Once few are refused, a burst is welcome again.
    for (let i = 0; i < 200; i++) {
      if (admission.inFlight > 0) {
        nowMs += 4;
        admission.leave({ bytes: 0, enteredMs: nowMs - 4, leftMs: nowMs });
      }
      if (admission.inFlight === 0) admission.enter(0);
    }
    expect(fill()).toBeGreaterThanOrEqual(burst - 2);
  });

  test("below capacity nothing is refused, however slow the trickle", () => {
    expect(overload(new Admission(options), 4, 0.9).refused).toBe(0);
    expect(overload(new Admission(options), 4, 0.01).refused).toBe(0);
  });

  test("one stall of a machine that is hardly busy refuses nothing", () => {
    const admission = new Admission(options);
    const answer = (enteredMs: number, leftMs: number) => {
      admission.leave({ bytes: 0, enteredMs, leftMs });
    };
    for (let i = 0; i < 100; i++) {
      expect(admission.enter(0)).toBe(true);
      answer(25 * i, 25 * i + 1);
    }
    // 300 ms in which nothing moves, and twelve requests come in.
    for (let i = 0; i < 12; i++) expect(admission.enter(0)).toBe(true);
    answer(2_500, 2_800);
    for (let i = 0; i < 10; i++) expect(admission.enter(0)).toBe(true);
    for (let i = 0; i < 21; i++) answer(2_525, 2_801 + i);
    expect(admission.inFlight).toBe(0);
  });

  test("a stall shuts the door for a while only", () => {
    const admission = new Admission(options);
    const late = { bytes: 0, enteredMs: 0, leftMs: 60_000 };
    for (let i = 0; i < 3; i++) admission.enter(0);
    for (let i = 0; i < 3; i++) admission.leave(late);
    expect(admission.enter(0)).toBe(true);
    expect(overload(admission, 4, 0.9).refused).toBe(0);
  });
});

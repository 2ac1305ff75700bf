import { describe, expect, test } from "bun:test";
import { Random } from "../../models/core/random.ts";
import { Ring } from "./ring.ts";

describe("ring", () => {
  test("records come out as they went in, over many turns of the buffer", () => {
    const random = new Random(11);
    const writer = Ring.create(4_096);
    const reader = new Ring(writer.buffer);
    const expected: { sequence: number; bytes: number[] }[] = [];
    let refused = 0;
    for (let sequence = 0; sequence < 20_000; sequence++) {
      const bytes = Array.from({ length: random.int(300) }, () => random.int(256));
      if (writer.write(7, sequence, Uint8Array.from(bytes))) expected.push({ sequence, bytes });
      else refused++;
      while (random.int(20) > 10) {
        const record = reader.read();
        const wanted = expected.shift();
        expect(record === null).toBe(wanted === undefined);
        if (record === null || wanted === undefined) break;
        expect(record.kind).toBe(7);
        expect(record.sequence).toBe(wanted.sequence);
        expect([...record.bytes]).toEqual(wanted.bytes);
      }
    }
    expect(refused).toBeGreaterThan(0);
  });

  test("a record that can never fit is refused and leaves the ring as it was", () => {
    const ring = Ring.create(256);
    expect(ring.write(1, 1, new Uint8Array(241))).toBe(false);
    expect(ring.empty).toBe(true);
    expect(ring.write(1, 2, new Uint8Array(240).fill(5))).toBe(true);
    expect(ring.write(1, 3, new Uint8Array(0))).toBe(false);
    expect(ring.read()?.bytes.length).toBe(240);
  });

  test("counters may wrap past 2^32", () => {
    const ring = Ring.create(64);
    const control = new Int32Array(ring.buffer, 0, 2);
    control.fill(-32);
    for (let i = 0; i < 10; i++) {
      expect(ring.write(1, i, Uint8Array.from([i, i + 1]))).toBe(true);
      expect([...(ring.read()?.bytes ?? [])]).toEqual([i, i + 1]);
    }
  });

  test("a wake between the count and the wait is not lost", async () => {
    const ring = Ring.create(64);
    const seen = ring.wakeCount();
    ring.wake();
    await ring.waitForWake(seen);
    const again = ring.wakeCount();
    const waiting = ring.waitForWake(again);
    ring.wake();
    await waiting;
    expect(ring.wakeCount()).toBe(again + 1);
  });
});

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { HistogramReading, histogramBound, histogramBuckets, SharedMetrics } from "./metrics.ts";
import { ModelSlots } from "./model-slots.ts";
import { setThreadName, setThreadNice, setThreadSlice } from "./thread.ts";

test("a slot that is current or pinned is never acquired", () => {
  const slots = ModelSlots.create({ slots: 3, floats: 5, readers: 2 });
  expect(slots.current()).toEqual({ slot: -1, version: 0 });
  expect(slots.pin(0)).toBe(-1);
  slots.weights(slots.acquire()).fill(1);
  slots.publish(0, 1);
  expect(slots.pin(0)).toBe(0);
  expect(slots.acquire()).toBe(1);
  slots.publish(1, 2);
  expect(slots.pin(1)).toBe(1);
  expect(slots.acquire()).toBe(2);
  slots.publish(2, 3);
  expect(slots.acquire()).toBe(-1);
  expect(slots.oldestPinnedVersion()).toBe(1);
  slots.unpin(0);
  expect(slots.acquire()).toBe(0);
  expect(slots.oldestPinnedVersion()).toBe(2);
  slots.clearReader(1);
  expect(slots.oldestPinnedVersion()).toBe(3);
  expect(slots.acquire()).toBe(0);
  expect(slots.weights(0)[4]).toBe(1);
  slots.publish(1, 2);
  expect(slots.current()).toEqual({ slot: 1, version: 2 });
  slots.release();
});

test("views of one slot in two attachments are the same memory, also after a release", () => {
  const slots = ModelSlots.create({ slots: 2, floats: 1_000, readers: 1 });
  const other = ModelSlots.attach(slots.handle);
  const written = slots.weights(1);
  const seen = other.weights(1);
  written[999] = 7;
  expect(seen.length).toBe(1_000);
  expect(seen[999]).toBe(7);
  expect(slots.weights(1)).toBe(written);
  slots.release();
  written[0] = 3;
  expect(seen[0]).toBe(3);
});

test("wrong arguments throw", () => {
  const slots = ModelSlots.create({ slots: 2, floats: 4, readers: 2 });
  expect(() => slots.pin(2)).toThrow("range");
  expect(() => slots.pin(-1)).toThrow("reader");
  expect(() => slots.unpin(2)).toThrow("range");
  expect(() => slots.weights(2)).toThrow("slot");
  expect(() => slots.version(2)).toThrow("range");
  expect(() => slots.publish(2, 1)).toThrow("range");
  expect(() => slots.publish(0, 0)).toThrow("range");
  slots.publish(0, 1);
  slots.pin(0);
  expect(() => slots.pin(0)).toThrow("holds a pin");
  expect(() => ModelSlots.create({ slots: 1, floats: 4, readers: 1 })).toThrow("range");
  expect(() => ModelSlots.attach(1)).toThrow("handle");
  slots.release();
});

test("histograms answer quantiles within two percent", () => {
  const names = { counters: ["a", "b"], histograms: ["x", "y"] };
  const metrics = SharedMetrics.create(names);
  for (let i = 1; i <= 10_000; i++) metrics.observe("y", i / 100);
  metrics.add("b");
  metrics.add(1, 41);
  const { counters, histograms } = SharedMetrics.attach(metrics.handle, names).read();
  expect(counters).toEqual([0, 42]);
  expect(histograms[0].count).toBe(0);
  expect(histograms[0].quantile(0.5)).toBeNaN();
  const [, y] = histograms;
  expect(y.count).toBe(10_000);
  expect(y.sum).toBeCloseTo(500_050, -1);
  for (const q of [0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1]) {
    expect(Math.abs(y.quantile(q) / (q * 100) - 1)).toBeLessThan(0.02);
  }
  expect(y.countAtMost(50)).toBeGreaterThan(4_800);
  expect(y.countAtMost(50)).toBeLessThanOrEqual(5_000);
  metrics.release();
});

test("the largest value that is held is taken once, and counts nothing by itself", () => {
  const metrics = SharedMetrics.create({ counters: [], histograms: ["x", "y"] });
  expect(metrics.takeHeld("x")).toBe(-1);
  for (const value of [3.5, 0, 12.25, 7]) metrics.hold("x", value);
  expect(metrics.takeHeld("y")).toBe(-1);
  expect(metrics.takeHeld("x")).toBe(12.25);
  expect(metrics.takeHeld("x")).toBe(-1);
  metrics.hold("x", 0);
  expect(metrics.takeHeld("x")).toBe(0);
  expect(metrics.read().histograms[0].count).toBe(0);
  for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => metrics.hold("x", value)).toThrow();
  }
  expect(() => metrics.takeHeld(2)).toThrow("range");
  metrics.release();
});

test("every bucket holds its bounds, and odd values have a place", () => {
  const metrics = SharedMetrics.create({ counters: [], histograms: ["x"] });
  for (let b = 1; b < histogramBuckets - 1; b++) {
    expect(histogramBound(b)).toBeGreaterThan(histogramBound(b - 1));
    metrics.observe(0, histogramBound(b - 1));
  }
  for (const value of [0, -5, 1e-300, 1e300]) metrics.observe(0, value);
  const { buckets } = metrics.read().histograms[0];
  expect([...buckets.subarray(1, histogramBuckets - 1)].every((n) => n === 1)).toBe(true);
  expect([buckets[0], buckets[histogramBuckets - 1]]).toEqual([3, 1]);
  expect(new HistogramReading(new Float64Array(histogramBuckets), 0).count).toBe(0);
  expect(() => metrics.observe("z", 1)).toThrow("named z");
  expect(() => metrics.observe(1, 1)).toThrow("range");
  expect(() => metrics.observe(0, Number.NaN)).toThrow("finite");
  expect(() => metrics.add(0)).toThrow("range");
  const wrong = { counters: ["a"], histograms: ["x"] };
  expect(() => SharedMetrics.attach(metrics.handle, wrong)).toThrow("other names");
  metrics.release();
});

test("a nice value is the thread's own", async () => {
  const source = `
    import { setThreadNice } from ${JSON.stringify(`${import.meta.dir}/thread.ts`)};
    postMessage(setThreadNice(7));`;
  const url = URL.createObjectURL(new Blob([source], { type: "application/typescript" }));
  const worker = new Worker(url);
  const nice = await new Promise((resolve) => {
    worker.onmessage = (event) => resolve(event.data);
  });
  worker.terminate();
  expect(nice).toBe(7);
  expect(setThreadNice(0)).toBe(0);
  expect(() => setThreadNice(40)).toThrow("range");
});

test.if(process.platform === "linux")("a name is the thread's own, cut where it is long", () => {
  const before = readFileSync("/proc/thread-self/comm", "utf8").trim();
  setThreadName("a-name-of-many-bytes");
  expect(readFileSync("/proc/thread-self/comm", "utf8")).toBe("a-name-of-many-\n");
  setThreadName(before);
});

test.if(process.platform === "linux")(
  "a slice is the thread's own and keeps its nice value",
  () => {
    const nice = setThreadNice(0);
    expect(setThreadSlice(200)).toBe(true);
    expect(setThreadNice(0)).toBe(nice);
    expect(setThreadSlice(3_000)).toBe(true);
    expect(() => setThreadSlice(1)).toThrow("range");
  },
);

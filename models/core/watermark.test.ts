import { describe, expect, test } from "bun:test";
import { combineWatermarks, Watermark } from "./watermark.ts";

const options = { maxDisorderMs: 30_000, futureLeadMs: 60_000 };
const year = 365 * 86_400_000;

describe("watermark", () => {
  test("follows the largest event time and never goes back", () => {
    const mark = new Watermark(options);
    expect(mark.valueMs).toBe(0);
    mark.observe(1_000_000, 1_000_000);
    expect(mark.valueMs).toBe(970_000);
    mark.observe(900_000, 1_000_100);
    expect(mark.valueMs).toBe(970_000);
  });

  test("an event from next year counts as received and moves nothing further", () => {
    const mark = new Watermark(options);
    mark.observe(1_000_000, 1_000_000);
    expect(mark.observe(1_000_000 + year, 1_000_010)).toBe(1_000_010);
    expect(mark.valueMs).toBe(970_010);
  });

  test("a clock that runs ahead moves it by the allowed lead at most", () => {
    const mark = new Watermark(options);
    expect(mark.observe(1_060_000, 1_000_000)).toBe(1_060_000);
    expect(mark.observe(1_060_001, 1_000_000)).toBe(1_000_000);
    expect(mark.valueMs).toBe(1_030_000);
  });

  test("only partitions with records waiting hold the combined watermark back", () => {
    const part = (valueMs: number, caughtUp: boolean) => ({ valueMs, caughtUp });
    expect(combineWatermarks([part(50, false), part(90, false), part(10, true)])).toBe(50);
    expect(combineWatermarks([part(50, true), part(90, true)])).toBe(90);
    expect(combineWatermarks([])).toBe(0);
  });
});

import { expect, test } from "bun:test";
import { CountReporter } from "./count-reporter.ts";

test("adds what counts have grown by since the reporter was made", () => {
  const totals = new Map<string, number>();
  const sink = {
    add: (name: string, by: number) => void totals.set(name, (totals.get(name) ?? 0) + by),
  };
  const counts = { late: 5, events: 7 };
  const reporter = new CountReporter(sink, [
    ["rec_windows_late_total", () => counts.late],
    ["rec_windows_events_total", () => counts.events],
  ]);
  reporter.report();
  expect(totals.size).toBe(0);
  counts.late += 3;
  reporter.report();
  reporter.report();
  expect([...totals]).toEqual([["rec_windows_late_total", 3]]);
});

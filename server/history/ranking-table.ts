import type { Interval } from "../../models/evaluation/bootstrap.ts";
import type { HeadReport } from "../../models/evaluation/head-report.ts";

/** The figures for a person: one line a figure, with its interval where there is one. */
export function rankingTable(reports: readonly HeadReport[]): string {
  const lines = reports.flatMap((report) => {
    const about = `${report.head.padEnd(14)} ${String(report.count).padStart(8)} rows`;
    const head = `${about}, mean ${report.base.toFixed(3)}`;
    const figures = Object.entries(report.figures).map(
      ([name, interval]) => `  ${name.padEnd(8)} ${intervalText(interval)}`,
    );
    return [head, ...figures];
  });
  return `${lines.join("\n")}\n`;
}

function intervalText({ value, low, high }: Interval): string {
  const text = value.toFixed(4);
  return Number.isNaN(low) ? text : `${text}   ${low.toFixed(4)} to ${high.toFixed(4)}`;
}

/** The same by name, for JSON; what is not a number is null. */
export function rankingFigures(reports: readonly HeadReport[]) {
  const plain = (value: number) => (Number.isFinite(value) ? value : null);
  return Object.fromEntries(
    reports.map(({ head, count, base, figures }) => {
      const named = Object.entries(figures).map(([name, { value, low, high }]) => [
        name,
        { value: plain(value), low: plain(low), high: plain(high) },
      ]);
      return [head, { count, base: plain(base), ...Object.fromEntries(named) }];
    }),
  );
}

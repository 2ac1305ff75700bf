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

const units: Readonly<Record<string, string>> = { logloss: "nats", mae: "log1p seconds" };

/** One figure for JSON; both bounds or none. */
export interface RankingFigure {
  readonly value: number;
  readonly unit: string;
  readonly low?: number;
  readonly high?: number;
}

/** The same by name for JSON, such as `clickAuc`; what is not a number is left out. */
export function rankingFigures(
  reports: readonly HeadReport[],
): Readonly<Record<string, RankingFigure>> {
  const named = reports.flatMap(({ head, count, figures }) => [
    [`${head}Rows`, { value: count, unit: "rows" }] as const,
    ...Object.entries(figures).map(([name, { value, low, high }]) => {
      const bounds = Number.isFinite(low) && Number.isFinite(high) ? { low, high } : {};
      const capital = name.replace(/^./, (first) => first.toUpperCase());
      return [`${head}${capital}`, { value, unit: units[name] ?? name, ...bounds }] as const;
    }),
  ]);
  return Object.fromEntries(named.filter(([, { value }]) => Number.isFinite(value)));
}

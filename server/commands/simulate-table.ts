import type { Figures } from "../../workers/simulator/report.ts";

/** The simulator's table. */
export const header =
  "  slates   clicks  click%   server%  popular%  random%  oracle%  " +
  "of the lift  fresh ms  model  swaps  failed\n";

/** One line of the table: what users did, what other policies would have got, the server's word. */
export function row(figures: Figures, server: ServerFigures): string {
  const percent = (rate: number) => (100 * rate).toFixed(2);
  const or = (value: number, text: string) => (Number.isFinite(value) ? text : "-");
  const cells: [string, number][] = [
    [`${figures.slates}`, 8],
    [`${figures.clicks}`, 9],
    [percent(figures.clickRate), 8],
    [percent(figures.ownRate), 10],
    [percent(figures.popularityRate), 10],
    [percent(figures.randomRate), 9],
    [percent(figures.oracleRate), 9],
    [or(figures.shareOfOracleLift, `${(100 * figures.shareOfOracleLift).toFixed(0)} %`), 13],
    [or(server.freshnessMs, server.freshnessMs.toFixed(0)), 10],
    [or(server.version, `${server.version}`), 7],
    [or(server.swaps, `${server.swaps}`), 7],
    [`${figures.failed}`, 8],
  ];
  return `${cells.map(([text, width]) => text.padStart(width)).join("")}\n`;
}

/** What the server says of itself; NaN for what it does not say. */
export interface ServerFigures {
  readonly freshnessMs: number;
  readonly version: number;
  readonly swaps: number;
}

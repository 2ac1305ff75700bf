import definition from "../../models/definition/default.ts";
import { checkSkew, type SkewReport } from "../check/check-skew.ts";
import { serveVirtually } from "../check/virtual-hour.ts";
import { readFolder } from "./folder-log.ts";
import { helpText, type OptionSpec, type ParsedOptions, parseOptions } from "./options.ts";

const specs: Readonly<Record<string, OptionSpec>> = {
  "data-dir": { kind: "text", help: "a data folder that no server uses (DATA_DIR)" },
  "virtual-minutes": { kind: "number", help: "instead: serve so long in virtual time", min: 0.1 },
  rate: { kind: "number", help: "virtual slates per second", default: 1, min: 0.01 },
  users: { kind: "number", help: "virtual users", default: 300, min: 1 },
  items: { kind: "number", help: "virtual items", default: 500, min: 10 },
  partitions: { kind: "number", help: "virtual users' partitions", default: 1, min: 1, max: 16 },
  seed: { kind: "number", help: "of the virtual users", default: 1, min: 0 },
  differences: { kind: "number", help: "differences that are shown", default: 20, min: 0 },
  json: { kind: "flag", help: "the last line of output is one JSON object" },
  help: { kind: "flag", help: "this text" },
};

const notes = `Recomputes, from the log alone and with the tests' oracle, the features of every
served row at the offsets and the time that its record names. Exit code 1 where any differs.`;

type Write = (text: string) => void;

/** `check skew`: whether the ranker was told what the log says. */
export async function run(args: readonly string[], write: Write): Promise<number> {
  const options = parseOptions(args, specs);
  if (options.flag("help")) {
    write(helpText("check skew [options]", specs, notes));
    return 0;
  }
  const startedMs = performance.now();
  const minutes = options.optionalNumber("virtual-minutes");
  const report = await (minutes === undefined
    ? checkFolder(options)
    : checkVirtually(options, minutes));
  print(report, performance.now() - startedMs, write);
  const { differences, ...figures } = report;
  const differing = report.differing + report.unexplained;
  const share = report.rows === 0 ? 0 : differing / report.rows;
  const json = { ...figures, differences: differences.total, differingShare: share };
  if (options.flag("json")) write(`${JSON.stringify(json)}\n`);
  return differing === 0 && report.rows > 0 ? 0 : 1;
}

function checkVirtually(options: ParsedOptions, minutes: number): Promise<SkewReport> {
  const traffic = {
    ...{ minutes, rate: options.number("rate"), seed: options.number("seed") },
    ...{ users: options.number("users"), items: options.number("items") },
    partitions: options.number("partitions"),
  };
  const shownMax = options.number("differences");
  return serveVirtually(traffic, (log) => checkSkew({ log, definition, shownMax }));
}

function checkFolder(options: ParsedOptions): Promise<SkewReport> {
  const shownMax = options.number("differences");
  const topics = ["events", "served", "items", "commits"] as const;
  return readFolder({ dataDir: options.text("data-dir"), topics }, (folder) =>
    checkSkew({ ...folder, shownMax }),
  );
}

function print(report: SkewReport, tookMs: number, write: Write): void {
  const { rows, slates, values, bytes, differences } = report;
  write(`${slates} slates of ${rows} rows, ${values} values in ${(tookMs / 1_000).toFixed(1)} s\n`);
  write(`  ${report.differing} rows differ, ${report.unexplained} rows no commit explains\n`);
  write(`  ${report.unsettled} rows were read while their documents changed and equal neither\n`);
  write(`  largest difference of a value: ${report.largestDifference}\n`);
  write(`  ${(bytes / Math.max(1, rows)).toFixed(1)} bytes of the log a row\n`);
  write(`share that differs: ${(report.differing + report.unexplained) / Math.max(1, rows)}\n`);
  for (const text of differences.shown) write(`  ${text}\n`);
  const more = differences.total - differences.shown.length;
  if (more > 0) write(`  and ${more} more\n`);
}

import { RecError } from "../../models/core/errors.ts";
import { loadDefinition } from "../../workers/load-definition.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { openStorage } from "../assembly/storage.ts";
import { checkState, type StateReport } from "../check/check-state.ts";
import { type Config, readConfig } from "../config.ts";
import { helpText, type OptionSpec, parseOptions } from "./options.ts";

const specs: Readonly<Record<string, OptionSpec>> = {
  "data-dir": { kind: "text", help: "a data folder that no server uses (DATA_DIR)" },
  differences: { kind: "number", help: "differences that are shown", default: 20, min: 0 },
  json: { kind: "flag", help: "the last line of output is one JSON object" },
  help: { kind: "flag", help: "this text" },
};

const notes = `state   rebuilds what a start rebuilds and compares every row of every counter, every
        recent sequence and every document with a replay of the whole log; no event id and no
        sample may stand twice. Exit code 1 where anything differs.
skew    recomputes the features of every served row from the log; see check skew --help.
late    what came after panes had closed; see check late --help.
simulation   crashes everything many times over, held to a plain oracle; see its --help.
taste   prints slates and similar items by title; see check taste --help.`;

type Write = (text: string) => void;

interface Check {
  run(args: readonly string[], write: Write): Promise<number>;
}

const others: Readonly<Record<string, () => Promise<Check>>> = {
  late: () => import("./check-late.ts"),
  simulation: () => import("./check-simulation.ts"),
  skew: () => import("./check-skew.ts"),
  taste: () => import("./check-taste.ts"),
};

/** `check`: whether what is stored, served and learned is what the log says. */
export async function run(
  args: readonly string[],
  write: Write = (text) => void process.stdout.write(text),
): Promise<number> {
  const [name = "", ...rest] = args;
  const load = Object.hasOwn(others, name) ? others[name] : undefined;
  if (load !== undefined) return await (await load()).run(rest, write);
  const options = parseOptions(args, specs);
  if (options.flag("help")) {
    write(helpText("check state|skew|late|simulation|taste [options]", specs, notes));
    return 0;
  }
  if (options.rest.length !== 1 || options.rest[0] !== "state") {
    const message = "say what to check";
    throw new RecError("REC_COMMAND_OPTION", message, { fix: "check state; check --help" });
  }
  const dataDir = options.text("data-dir");
  const flags = dataDir === undefined ? [] : ["--data-dir", dataDir];
  const config = readConfig({ environment: process.env, flags });
  const startedMs = performance.now();
  const report = await checkDirectory(config, options.number("differences"), write);
  print(report, performance.now() - startedMs, write);
  if (options.flag("json")) write(`${JSON.stringify(jsonOf(report))}\n`);
  return report.differences.total === 0 ? 0 : 1;
}

async function checkDirectory(
  config: Config,
  shownMax: number,
  write: Write,
): Promise<StateReport> {
  const { definition: path, dataDir, eventLogUrl, durability, rankWorkers } = config;
  const { logPartitions, rowsInMemory } = config;
  const definition = await loadDefinition(path === "" ? null : path);
  const warn = (text: string) => write(`${text}\n`);
  const stores = { dataDir, eventLogUrl, durability, rankWorkers, logPartitions, rowsInMemory };
  const storage = await openStorage({ definition, ...stores, clock: systemClock, warn });
  try {
    return await checkState({ storage, dataDir, warn, shownMax });
  } finally {
    await storage.close();
  }
}

function shareOf({ compared }: StateReport): number {
  const sum = (of: (one: (typeof compared)[number]) => number) =>
    compared.reduce((total, one) => total + of(one), 0);
  return (
    sum(({ differing }) => differing) /
    Math.max(
      1,
      sum(({ rows }) => rows),
    )
  );
}

function jsonOf(report: StateReport) {
  const { compared, differences, records } = report;
  return { records, compared, differing: differences.total, differingShare: shareOf(report) };
}

function print(report: StateReport, tookMs: number, write: Write): void {
  const { records, compared, differences } = report;
  const read = Object.entries(records).map(([topic, count]) => `${count} ${topic}`);
  write(`replayed ${read.join(", ")} in ${(tookMs / 1_000).toFixed(1)} s\n`);
  for (const { what, rows, differing } of compared) {
    write(`  ${what.padEnd(24)} ${`${rows}`.padStart(10)} compared, ${differing} differ\n`);
  }
  write(`share that differs: ${shareOf(report)}\n`);
  for (const text of differences.shown) write(`  ${text}\n`);
  const more = differences.total - differences.shown.length;
  if (more > 0) write(`  and ${more} more\n`);
}

import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type SimulationReport, simulate } from "../check/simulation/simulate.ts";
import { helpText, type OptionSpec, type ParsedOptions, parseOptions } from "./options.ts";

const specs: Readonly<Record<string, OptionSpec>> = {
  events: { kind: "number", help: "events over all seeds", default: 1_000_000, min: 1 },
  "seed-events": { kind: "number", help: "events of one seed", default: 20_000, min: 1 },
  seed: { kind: "number", help: "the first seed", default: 1, min: 0 },
  partitions: { kind: "number", help: "of users, two threads a role", default: 1, min: 1, max: 8 },
  processes: { kind: "number", help: "seeds at a time; default: one a processor", min: 1 },
  differences: { kind: "number", help: "of a seed, shown", default: 5, min: 0 },
  met: { kind: "flag", help: "say how often what happened" },
  json: { kind: "flag", help: "the last line of output is one JSON object" },
  help: { kind: "flag", help: "this text" },
};

const notes = `Runs log, ingest, windows, joiner, trainer, swaps and ranking over a disk that tears
writes, fails syncs, is full, turns bits and loses power, threads and processes killed between any
two steps. After each seed everything is held to a plain oracle. A seed that differs is printed
with the command that repeats it.`;

type Write = (text: string) => void;

/** Sums over seeds. */
interface Totals {
  seeds: number;
  events: number;
  differing: number;
  readonly met: Map<string, number>;
}

/** `check simulation`: crashes of everything, many times over, against a run without faults. */
export async function run(args: readonly string[], write: Write): Promise<number> {
  const options = parseOptions(args, specs);
  if (options.flag("help")) {
    write(helpText("check simulation [options]", specs, notes));
    return 0;
  }
  const startedMs = performance.now();
  const totals: Totals = { seeds: 0, events: 0, differing: 0, met: new Map() };
  const seeds = Math.ceil(options.number("events") / options.number("seed-events"));
  const processes = options.optionalNumber("processes") ?? availableParallelism();
  if (processes === 1 || seeds === 1) await runSeeds(options, { seeds, totals, write });
  else await runProcesses(options, { seeds, totals, write }, Math.min(processes, seeds));
  const { events, differing, met } = totals;
  const tookSeconds = (performance.now() - startedMs) / 1_000;
  const found = differing === 0 ? "nothing differs" : `${differing} seeds differ`;
  write(`${totals.seeds} seeds, ${events} events in ${tookSeconds.toFixed(1)} s: ${found}\n`);
  if (options.flag("met")) {
    for (const [what, times] of [...met].sort()) write(`  ${`${times}`.padStart(8)} ${what}\n`);
  }
  const json = { ...totals, met: Object.fromEntries(met), tookSeconds };
  if (options.flag("json")) write(`${JSON.stringify(json)}\n`);
  return differing === 0 ? 0 : 1;
}

interface Work {
  readonly seeds: number;
  readonly totals: Totals;
  readonly write: Write;
}

async function runSeeds(options: ParsedOptions, { seeds, totals, write }: Work): Promise<void> {
  const events = options.number("seed-events");
  const shownMax = options.number("differences");
  const partitions = options.number("partitions");
  for (let i = 0; i < seeds; i++) {
    const seed = options.number("seed") + i;
    const report = await simulate({ seed, events, shownMax, partitions });
    add(totals, { seeds: 1, events: report.events, met: report.met });
    if (report.differences.total > 0) totals.differing++;
    tell(report, { events, partitions }, write);
  }
}

function add(
  totals: Totals,
  one: { seeds: number; events: number; met: ReadonlyMap<string, number> },
): void {
  totals.seeds += one.seeds;
  totals.events += one.events;
  for (const [what, times] of one.met) totals.met.set(what, (totals.met.get(what) ?? 0) + times);
}

function tell(
  report: SimulationReport,
  { events, partitions }: { events: number; partitions: number },
  write: Write,
): void {
  const { seed, differences } = report;
  if (differences.total === 0) return;
  write(`seed ${seed}: ${differences.total} differences; again with\n`);
  write(`  bun run check simulation --seed ${seed} --events ${events} --seed-events ${events}`);
  write(partitions === 1 ? "\n" : ` --partitions ${partitions}\n`);
  for (const text of differences.shown) write(`  ${text}\n`);
}

/** A process for each stretch of seeds: they have nothing in common. */
async function runProcesses(options: ParsedOptions, work: Work, processes: number): Promise<void> {
  const each = Math.ceil(work.seeds / processes);
  const events = options.number("seed-events");
  const running = Array.from({ length: processes }, async (_, i) => {
    const seeds = Math.min(each, work.seeds - i * each);
    if (seeds > 0) await runChild(options, work, { seed: i * each, events: seeds * events });
  });
  await Promise.all(running);
}

async function runChild(
  options: ParsedOptions,
  { totals, write }: Work,
  of: { seed: number; events: number },
): Promise<void> {
  const main = join(import.meta.dir, "..", "main.ts");
  const numbers = {
    ...{ seed: options.number("seed") + of.seed, events: of.events, processes: 1 },
    ...{ "seed-events": options.number("seed-events"), differences: options.number("differences") },
    partitions: options.number("partitions"),
  };
  const flags = Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const child = Bun.spawn([process.execPath, main, "check", "simulation", ...flags, "--json"], {
    ...{ stdout: "pipe", stderr: "inherit" },
  });
  const lines = (await new Response(child.stdout).text()).trimEnd().split("\n");
  const last = lines.pop() ?? "";
  // Without the child's own summary.
  for (const line of lines.slice(0, -1)) write(`${line}\n`);
  if (!last.startsWith("{")) {
    totals.differing++;
    write(`seeds from ${numbers.seed} on ended with ${await child.exited}: ${last}\n`);
    return;
  }
  const { seeds, events, differing, met } = JSON.parse(last);
  add(totals, { seeds, events, met: new Map(Object.entries<number>(met)) });
  totals.differing += differing;
}

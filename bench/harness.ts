import type { ParsedOptions } from "../server/commands/options.ts";
import { helpText, type OptionSpec, parseOptions } from "../server/commands/options.ts";
import { commitLine, machineLine } from "../server/commands/provenance.ts";
import type { Figure } from "./statistics.ts";

export type { Figure };

/** What a benchmark is given. */
export interface BenchContext {
  readonly options: ParsedOptions;
  /** Seconds, not minutes: enough to see that it runs. */
  readonly smoke: boolean;
  readonly seed: number;
  /** A line for the person who watches. */
  readonly say: (text: string) => void;
}

/** One benchmark: `bun run bench NAME`. The names of its figures stand in bench/README.md. */
export interface Bench {
  readonly name: string;
  readonly about: string;
  readonly options: Readonly<Record<string, OptionSpec>>;
  run(context: BenchContext): Promise<Readonly<Record<string, Figure>>>;
}

/** The last line of standard output under `--json`. */
export interface BenchOutput {
  readonly bench: string;
  readonly commit: string;
  readonly machine: string;
  readonly figures: Readonly<Record<string, Figure>>;
}

/** Options that every benchmark takes. */
export const commonOptions: Readonly<Record<string, OptionSpec>> = {
  json: { kind: "flag", help: "the last line of output is one JSON object" },
  smoke: { kind: "flag", help: "tiny sizes, to see that it runs" },
  seed: { kind: "number", help: "seed of all that is random", default: 1, min: 0 },
  help: { kind: "flag", help: "this text" },
};

function round(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function figureLine(name: string, figure: Figure): string {
  const { value, unit, low, high } = figure;
  const range = low === undefined || high === undefined ? "" : `  ${round(low)} .. ${round(high)}`;
  return `${name.padEnd(44)} ${round(value).padStart(9)} ${unit.padEnd(12)}${range}`.trimEnd();
}

/** Runs a benchmark as a command: options, machine, figures, and the JSON line where asked for. */
export async function runBench(
  bench: Bench,
  args: readonly string[],
  write: (text: string) => void = (text) => void process.stdout.write(text),
): Promise<BenchOutput | null> {
  const specs = { ...bench.options, ...commonOptions };
  const options = parseOptions(args, specs);
  if (options.flag("help")) {
    write(helpText(`bench ${bench.name} [options]`, specs, bench.about));
    return null;
  }
  const machine = machineLine();
  const commit = commitLine();
  const say = (text: string) => write(`${text}\n`);
  say(`${bench.name} at ${commit} on ${machine}`);
  const smoke = options.flag("smoke");
  const figures = await bench.run({ options, smoke, seed: options.number("seed"), say });
  for (const [name, figure] of Object.entries(figures)) say(figureLine(name, figure));
  const output = { bench: bench.name, commit, machine, figures };
  if (options.flag("json")) say(JSON.stringify(output));
  return output;
}

import { readFileSync } from "node:fs";
import { RecError } from "../models/core/errors.ts";
import type { Bench, BenchOutput } from "./harness.ts";
import { type Figure, overSeeds } from "./statistics.ts";

/** Whether a line is what a benchmark prints last under `--json`. */
function isOutput(value: unknown): value is BenchOutput {
  return typeof value === "object" && value !== null && "bench" in value && "figures" in value;
}

/** The JSON line of a piece: the last line of what it printed. Throws REC_BENCH_PIECE. */
function outputOf(path: string): BenchOutput {
  const line = readFileSync(path, "utf8").trimEnd().split("\n").at(-1) ?? "";
  try {
    const output: unknown = JSON.parse(line);
    if (isOutput(output)) return output;
  } catch {
    // Said below.
  }
  const fix = "give what a benchmark printed with --json";
  throw new RecError("REC_BENCH_PIECE", `${path} does not end with a JSON line`, { fix });
}

/** Means over the pieces with intervals, of the figures that all of them have. */
export function mergedFigures(pieces: readonly BenchOutput[]): Record<string, Figure> {
  const [first, ...others] = pieces;
  if (first === undefined || others.some(({ bench }) => bench !== first.bench)) {
    throw new RecError("REC_BENCH_PIECE", "the pieces are of no or of different benchmarks", {
      fix: "name files of one benchmark, one of each seed",
    });
  }
  const shared = Object.entries(first.figures).filter(([name]) =>
    others.every(({ figures }) => figures[name] !== undefined),
  );
  return Object.fromEntries(
    shared.map(([name, { unit }]) => {
      const values = pieces.map(({ figures }) => figures[name]?.value ?? Number.NaN);
      return [name, overSeeds(values, unit)];
    }),
  );
}

export const bench: Bench = {
  name: "merge",
  about: "Means and intervals over files with the --json output of one seed each: merge FILE...",
  options: {},
  async run({ options, say }) {
    const pieces = options.rest.map(outputOf);
    for (const [i, { bench: name, commit, machine }] of pieces.entries()) {
      say(`  ${options.rest[i]}: ${name} at ${commit} on ${machine}`);
    }
    return mergedFigures(pieces);
  },
};

import type { Bench } from "./harness.ts";
import { measureArithmetic } from "./kernels/arithmetic.ts";
import { ResultHash } from "./kernels/measure.ts";
import { pinned } from "./kernels/pin.ts";
import { measureScoring } from "./kernels/scoring.ts";
import { measureTables } from "./kernels/tables.ts";

const fullSizes = {
  candidates: 500,
  batch: 100,
  inputs: 256,
  expertColumns: 512,
  parameters: 200_000,
};
const smokeSizes = { candidates: 20, batch: 10, inputs: 16, expertColumns: 32, parameters: 500 };

const fullTables = { rows: 100_000, batch: 500, updates: 20_000, graphRows: 20_000 };
const smokeTables = { rows: 300, batch: 20, updates: 500, graphRows: 200 };

export const bench: Bench = {
  name: "kernels",
  about: "The native arithmetic and shared memory, beside twins and peak.",
  options: {
    "turn-ms": { kind: "number", help: "milliseconds of one turn", default: 10, min: 0.1 },
    rounds: { kind: "number", help: "turns of each, alternating", default: 7, min: 1 },
    cpu: { kind: "number", help: "the processor to stay on; -1: any", default: 0, min: -1 },
  },
  async run({ options, smoke, seed, say }) {
    const budget = {
      turnMs: smoke ? 0.1 : options.number("turn-ms"),
      rounds: smoke ? 1 : options.number("rounds"),
    };
    const hash = new ResultHash();
    const tables = smoke ? smokeTables : fullTables;
    const sizes = smoke ? smokeSizes : fullSizes;
    const figures = await pinned(smoke ? -1 : options.number("cpu"), say, async () => ({
      ...(await measureArithmetic({ sizes, budget, seed, hash })),
      ...measureScoring({ rows: smoke ? 20 : 100, budget, seed, hash }),
      ...measureTables({ sizes: tables, budget, seed, hash }),
    }));
    say(`hash of the results ${hash.text}`);
    return figures;
  },
};

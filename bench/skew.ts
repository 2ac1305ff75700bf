import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecError } from "../models/core/errors.ts";
import { Random } from "../models/core/random.ts";
import { requireZero } from "./crash.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { startServer } from "./server-process.ts";
import { Ledger } from "./survival/ledger.ts";
import { MixedLoad } from "./survival/mixed-load.ts";

const loops = { events: 1, slates: 8, documents: 1 };

/** What `check skew` says with --json. */
interface SkewVerdict {
  readonly rows: number;
  readonly slates: number;
  readonly values: number;
  readonly differing: number;
  readonly unexplained: number;
  readonly unsettled: number;
  readonly largestDifference: number;
  readonly bytes: number;
}

/** Loads a server until so many slates were answered; then kill -9. */
async function serve(
  dataDir: string,
  of: { slates: number; seed: number; name: string; slateItems: number },
): Promise<void> {
  const server = await startServer({ dataDir, env: { RANK_WORKERS: "2" } });
  const ledger = new Ledger();
  const { seed, name, slateItems } = of;
  const load = new MixedLoad({ port: server.port, seed, name, ledger, slateItems, ...loops });
  load.start();
  while (ledger.slates.size < of.slates && load.counts.refused + load.counts.lost === 0) {
    await Bun.sleep(50);
  }
  await server.kill();
  await load.ended();
}

async function checkSkewOf(dataDir: string): Promise<SkewVerdict & { readonly output: string }> {
  const main = join(import.meta.dir, "..", "server", "main.ts");
  const args = ["check", "skew", "--data-dir", dataDir, "--json"];
  const child = Bun.spawn([process.execPath, main, ...args], {
    ...{ stdout: "pipe", stderr: "inherit" },
  });
  const output = await new Response(child.stdout).text();
  const exitCode = await child.exited;
  const last = output.trimEnd().split("\n").at(-1) ?? "";
  if (!last.startsWith("{")) {
    throw new RecError("REC_BENCH_CHECK", `check skew ended with ${exitCode}: ${output}`);
  }
  return { ...JSON.parse(last), output };
}

async function run({ options, smoke, seed, say }: BenchContext): Promise<Record<string, Figure>> {
  const rows = smoke ? 4_000 : options.number("rows");
  const rounds = smoke ? 2 : options.number("rounds");
  const slateItems = smoke ? 20 : options.number("slate");
  const dataDir = mkdtempSync(join(tmpdir(), "recmaster-skew-"));
  const random = new Random(seed);
  try {
    for (let i = 0; i < rounds; i++) {
      // Not every slate is full.
      const slates = Math.ceil((1.2 * rows) / slateItems / rounds);
      await serve(dataDir, { slates, seed: random.int(2 ** 31), name: `k${i}`, slateItems });
      say(`round ${i + 1}: ${slates} slates served, then kill -9`);
    }
    const found = await checkSkewOf(dataDir);
    say(found.output.trimEnd());
    const figure = (value: number, unit: string): Figure => ({ value, unit });
    const figures = {
      rowsServed: figure(found.rows, "rows"),
      valuesCompared: figure(found.values, "values"),
      rowsDiffering: figure(found.differing, "rows"),
      rowsUnexplained: figure(found.unexplained, "rows"),
      rowsUnsettled: figure(found.unsettled, "rows"),
      largestDifference: figure(found.largestDifference, "value"),
      logBytesPerRow: figure(found.bytes / Math.max(1, found.rows), "bytes"),
    };
    requireZero(figures, ["rowsDiffering", "rowsUnexplained"]);
    return figures;
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

export const bench: Bench = {
  name: "skew",
  about: "Slates under load and kill -9; then every served feature recomputed from the log.",
  options: {
    rows: { kind: "number", help: "rows to serve", default: 1_000_000, min: 1 },
    rounds: { kind: "number", help: "servers, each ended by kill -9", default: 4, min: 1 },
    slate: { kind: "number", help: "items of a slate", default: 100, min: 1, max: 100 },
  },
  run,
};

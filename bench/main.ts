import { messageOf, RecError } from "../models/core/errors.ts";
import { type Bench, runBench } from "./harness.ts";

/** Benchmarks by name; each is loaded only when it is run. */
const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  http: async () => (await import("./http.ts")).bench,
  input: async () => (await import("./input.ts")).bench,
  swap: async () => (await import("./swap.ts")).bench,
  background: async () => (await import("./background.ts")).bench,
  freshness: async () => (await import("./freshness.ts")).bench,
  "hand-over": async () => (await import("./hand-over.ts")).bench,
  ranking: async () => (await import("./ranking.ts")).bench,
  training: async () => (await import("./training.ts")).bench,
  poison: async () => (await import("./poison.ts")).bench,
  kernels: async () => (await import("./kernels.ts")).bench,
  onnx: async () => (await import("./onnx.ts")).bench,
  restart: async () => (await import("./restart.ts")).bench,
  soak: async () => (await import("./soak.ts")).bench,
  stop: async () => (await import("./stop.ts")).bench,
  failures: async () => (await import("./failures.ts")).bench,
  skew: async () => (await import("./skew.ts")).bench,
  crash: async () => (await import("./crash.ts")).bench,
  offline: async () => (await import("./offline.ts")).bench,
  replay: async () => (await import("./replay.ts")).bench,
  delay: async () => (await import("./delay.ts")).bench,
  selection: async () => (await import("./selection.ts")).bench,
  sequence: async () => (await import("./sequence.ts")).bench,
  models: async () => (await import("./models.ts")).bench,
  parity: async () => (await import("./parity.ts")).bench,
  quality: async () => (await import("./virtual-quality.ts")).bench,
  drift: async () => (await import("./drift.ts")).bench,
  merge: async () => (await import("./merge.ts")).bench,
  windows: async () => (await import("./windows.ts")).bench,
  join: async () => (await import("./join.ts")).bench,
  ingest: async () => (await import("./ingest.ts")).bench,
};

/** What `--help` of one says in full. */
function firstLine(text: string): string {
  return text.split("\n")[0] ?? "";
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help") {
    process.stdout.write("Usage: bench NAME [options]; bench NAME --help\n\n");
    for (const [known, load] of Object.entries(benches)) {
      process.stdout.write(`  ${known.padEnd(12)} ${firstLine((await load()).about)}\n`);
    }
    return name === undefined ? 1 : 0;
  }
  const load = Object.hasOwn(benches, name) ? benches[name] : undefined;
  if (load === undefined) {
    const known = Object.keys(benches).join(", ");
    throw new RecError("REC_BENCH_NAME", `no benchmark ${name}`, { fix: `one of ${known}` });
  }
  await runBench(await load(), rest);
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
  // A thread that has waited on shared memory would keep the process alive after its end.
  process.stdout.write("", () => process.exit());
} catch (error) {
  const fix = error instanceof RecError && error.fix !== undefined ? ` (${error.fix})` : "";
  process.stderr.write(`bench: ${messageOf(error)}${fix}\n`);
  process.exitCode = 1;
}

import { dlopen } from "bun:ffi";
import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { RecError } from "../../models/core/errors.ts";

/** The most that a core can multiply and add with one instruction set. */
export interface FmaPeak {
  /** Runs for some tens of microseconds. */
  run(set: number): void;
  /** Floating-point operations of one `run`. */
  operations(set: number): number;
}

const source = join(import.meta.dir, "fma_peak.cpp");
const folder = join(import.meta.dir, "../../native/build/bench");
const steps = 20_000;

/** Compiles the loop, which no library of ours needs, and loads it. Throws without a compiler. */
export async function fmaPeak(): Promise<FmaPeak> {
  mkdirSync(folder, { recursive: true });
  const library = join(folder, "fma_peak.so");
  const part = `${library}.${process.pid}`;
  const command = ["g++", "-O2", "-fPIC", "-shared", source, "-o", part];
  const child = Bun.spawn(command, { stderr: "pipe" });
  if ((await child.exited) !== 0) {
    const message = await new Response(child.stderr).text();
    throw new RecError("REC_BENCH_COMPILER", message, { fix: "apt-get install -y g++" });
  }
  renameSync(part, library);
  const { symbols } = dlopen(library, {
    fma_peak_run: { args: ["i32", "i32"], returns: "f32" },
    fma_peak_operations: { args: ["i32"], returns: "i32" },
  });
  return {
    run(set) {
      if (!Number.isFinite(symbols.fma_peak_run(set, steps))) throw new Error("sums diverged");
    },
    operations: (set) => symbols.fma_peak_operations(set) * steps,
  };
}

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecError } from "../models/core/errors.ts";
import { cpuSecondsOf } from "./process-figures.ts";

export interface ServerProcess {
  readonly port: number;
  readonly pid: number;
  /** Processor seconds of all its threads so far, user and system. */
  cpuSeconds(): number;
  /** From the start of the process until `/readyz` said so. */
  readonly readyMs: number;
  /** SIGTERM, then SIGKILL after ten seconds; removes its data. Resolves with the exit code. */
  stop(): Promise<number>;
  /** SIGKILL; the data stays where `dataDir` was given. Resolves once the process is gone. */
  kill(): Promise<void>;
}

/** A free port that the system chooses, so that two lanes at once do not find the same one. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === "string") {
    throw new RecError("REC_BENCH_PORT", "the system gave no port");
  }
  return address.port;
}

export interface ServerOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What to run instead of the server (tests). */
  readonly command?: readonly string[];
  /** A data folder that stays; default: a fresh one that `stop` removes. */
  readonly dataDir?: string;
  /** How long it may take to become ready; default: a minute. */
  readonly readyMsMax?: number;
}

/** The server as users start it; resolves once /readyz says so. */
export async function startServer(options: ServerOptions): Promise<ServerProcess> {
  const port = await freePort();
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "recmaster-bench-"));
  const main = join(import.meta.dir, "..", "server", "main.ts");
  const startedMs = performance.now();
  const child = Bun.spawn([...(options.command ?? [process.execPath, main, "start"])], {
    cwd: join(import.meta.dir, ".."),
    env: {
      ...process.env,
      ...{ LOG_LEVEL: "warn", HOST: "127.0.0.1", PORT: `${port}`, DATA_DIR: dataDir },
      ...options.env,
    },
    stdout: "ignore",
    stderr: "inherit",
  });
  const stop = async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
    const code = await child.exited;
    clearTimeout(timer);
    if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    return code;
  };
  const kill = async () => {
    child.kill("SIGKILL");
    await child.exited;
  };
  try {
    await ready(port, child, options.readyMsMax ?? 60_000);
  } catch (error) {
    await stop();
    throw error;
  }
  const tookMs = performance.now() - startedMs;
  const cpuSeconds = () => cpuSecondsOf(child.pid);
  return { port, pid: child.pid, readyMs: tookMs, cpuSeconds, stop, kill };
}

async function ready(
  port: number,
  child: { readonly exitCode: number | null },
  readyMsMax: number,
): Promise<void> {
  const untilMs = performance.now() + readyMsMax;
  while (performance.now() < untilMs) {
    if (child.exitCode !== null) {
      throw new RecError("REC_BENCH_SERVER", `the server exited with ${child.exitCode}`);
    }
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null);
    await answer?.arrayBuffer();
    if (answer?.ok === true) return;
    await Bun.sleep(20);
  }
  throw new RecError("REC_BENCH_SERVER", `the server was not ready after ${readyMsMax} ms`);
}

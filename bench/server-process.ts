import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecError } from "../models/core/errors.ts";

const ticksPerSecond = 100;
const readyMs = 60_000;

export interface ServerProcess {
  readonly port: number;
  readonly pid: number;
  /** Processor seconds of all its threads so far, user and system. */
  cpuSeconds(): number;
  /** SIGTERM, then SIGKILL after ten seconds; removes its data. Resolves with the exit code. */
  stop(): Promise<number>;
}

/** utime + stime of /proc/PID/stat, which count every thread of the process. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is the name in parentheses and may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** A free port from 18300 on, so that lanes on one machine stay together. */
export async function freePort(from = 18_300): Promise<number> {
  for (let port = from; port < from + 100; port++) {
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new RecError("REC_BENCH_PORT", `no free port from ${from} to ${from + 99}`);
}

/** The server as users start it, with a fresh data folder; resolves once /readyz says so. */
export async function startServer(options: {
  env?: Readonly<Record<string, string>>;
  /** What to run instead of the server (tests). */
  command?: readonly string[];
}): Promise<ServerProcess> {
  const port = await freePort();
  const dataDir = mkdtempSync(join(tmpdir(), "recmaster-bench-"));
  const main = join(import.meta.dir, "..", "server", "main.ts");
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
    rmSync(dataDir, { recursive: true, force: true });
    return code;
  };
  try {
    await ready(port, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, pid: child.pid, cpuSeconds: () => cpuSecondsOf(child.pid), stop };
}

async function ready(port: number, child: { readonly exitCode: number | null }): Promise<void> {
  const untilMs = performance.now() + readyMs;
  while (performance.now() < untilMs) {
    if (child.exitCode !== null) {
      throw new RecError("REC_BENCH_SERVER", `the server exited with ${child.exitCode}`);
    }
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null);
    await answer?.arrayBuffer();
    if (answer?.ok === true) return;
    await Bun.sleep(50);
  }
  throw new RecError("REC_BENCH_SERVER", `the server was not ready after ${readyMs} ms`);
}

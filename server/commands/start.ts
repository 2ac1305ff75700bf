import { systemClock } from "../../workers/system-clock.ts";
import { answerFirst } from "../../workers/thread-priority.ts";
import { type RunningServer, startServer } from "../assembly/running.ts";
import { type Config, configHelp, readConfig } from "../config.ts";
import { createLog, type Log } from "../log.ts";

const readyMs = 600_000;

function logOf(config: Config): Log {
  return createLog({
    level: config.logLevel,
    pretty: process.stderr.isTTY === true,
    clock: systemClock,
    write: (line) => void process.stderr.write(line),
  });
}

/** Starts a server from the environment and flags, and says where it is once it is ready. */
export async function startReady(flags: readonly string[]): Promise<{
  server: RunningServer;
  config: Config;
  log: Log;
}> {
  const config = readConfig({ environment: process.env, flags });
  const log = logOf(config);
  const startedMs = performance.now();
  answerFirst();
  const server = await startServer(config, log);
  await server.ready(readyMs);
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  const { users, items } = server.storage.state;
  process.stdout.write(`RecMaster is ready at ${server.url} after ${seconds} s\n`);
  process.stdout.write(`  ${items.size} items, ${users.size} users in ${config.dataDir}\n`);
  process.stdout.write(`  status page: ${server.url}/  API: ${server.url}/openapi.json\n`);
  return { server, config, log };
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
export async function untilSignal(): Promise<void> {
  await new Promise<void>((resolve) => {
    let signals = 0;
    const take = () => {
      if (++signals > 1) process.exit(130);
      resolve();
    };
    process.on("SIGTERM", take);
    process.on("SIGINT", take);
  });
}

/** `start`: serves until it is told to stop; 0 when nothing had to be cut off. */
export async function run(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    process.stdout.write(`start [options]\n\nEach is a flag or a variable:\n${configHelp()}\n`);
    return 0;
  }
  const signal = untilSignal();
  const { server } = await startReady(args);
  await signal;
  const clean = await server.stop();
  process.exit(clean ? 0 : 1);
}

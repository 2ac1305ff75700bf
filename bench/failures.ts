import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecError } from "../models/core/errors.ts";
import { requireZero } from "./crash.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { type ServerProcess, startServer } from "./server-process.ts";
import { percentile } from "./statistics.ts";
import { Ledger } from "./survival/ledger.ts";
import { MixedLoad } from "./survival/mixed-load.ts";
import { checkStateOf, verify } from "./survival/verify.ts";

const rankWorkers = 2;
const faults = ["throw", "hang", "exit"] as const;
const roles = ["windows", "windows-1", "joiner", "joiner-1", "trainer", "recall"] as const;
/** Two threads share three partitions of users: one owns two, one one. */
const shares = { LOG_PARTITIONS: "3", WINDOW_WORKERS: "2", JOINER_WORKERS: "2" };
const giveUpMs = 30_000;
const definition = join(import.meta.dir, "survival", "short-attribution.ts");

/** Orders faults, and sees what becomes of the thread. */
class FaultRun {
  readonly #server: ServerProcess;
  readonly #folder: string;

  constructor(server: ServerProcess, folder: string) {
    this.#server = server;
    this.#folder = folder;
  }

  /** From the order until another thread does the work; ms. */
  async breakThread(thread: string, fault: string, metric: string): Promise<number> {
    const before = await this.metric(metric);
    // Renamed into place: the thread must not read half of it.
    const path = join(this.#folder, thread);
    writeFileSync(`${path}.new`, fault);
    const fromMs = performance.now();
    renameSync(`${path}.new`, path);
    while ((await this.metric(metric)) <= before || !(await this.#ready())) {
      if (performance.now() - fromMs > giveUpMs) {
        throw new RecError("REC_BENCH_FAILED", `${thread} did not come back after "${fault}"`);
      }
      await Bun.sleep(5);
    }
    return performance.now() - fromMs;
  }

  async #ready(): Promise<boolean> {
    const answer = await fetch(`http://127.0.0.1:${this.#server.port}/readyz`);
    await answer.arrayBuffer();
    return answer.ok;
  }

  async metric(name: string): Promise<number> {
    const answer = await fetch(`http://127.0.0.1:${this.#server.port}/metrics`);
    const line = (await answer.text()).split("\n").find((one) => one.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1) ?? 0);
  }
}

/** Each fault on each ranking thread, then each role thrown and ended, all under mixed load. */
async function breakAll(
  context: BenchContext,
  faultRun: FaultRun,
  rounds: number,
): Promise<{ replacedMs: number[]; restartedMs: number[] }> {
  const replacedMs: number[] = [];
  const restartedMs: number[] = [];
  const broken = async (thread: string, fault: string, into: number[]) => {
    const isRole = into === restartedMs;
    const metric = isRole ? "rec_roles_restarted_total" : "rec_ranking_replaced_workers";
    const tookMs = await faultRun.breakThread(thread, fault, metric);
    into.push(tookMs);
    context.say(`${thread.padEnd(10)} ${fault.padEnd(6)} ready again in ${tookMs.toFixed(0)} ms`);
    // A thread that dies young is replaced only after a pause.
    await Bun.sleep(isRole ? 300 : 1_600);
  };
  for (let round = 0; round < rounds; round++) {
    for (const fault of faults) {
      await broken(`ranking-${round % rankWorkers}`, fault, replacedMs);
    }
    for (const role of roles) {
      await broken(role, round % 2 === 0 ? "throw" : "exit", restartedMs);
    }
  }
  return { replacedMs, restartedMs };
}

async function underLoad(
  context: BenchContext,
  server: ServerProcess,
  parts: { folder: string; ledger: Ledger },
): Promise<Record<string, Figure>> {
  const { folder, ledger } = parts;
  const rounds = context.smoke ? 1 : context.options.number("rounds");
  const loops = { events: 1, slates: 4, documents: 1 };
  const { port } = server;
  const load = new MixedLoad({ port, seed: context.seed, name: "f", ledger, ...loops });
  load.start();
  try {
    await Bun.sleep(1_000);
    const { replacedMs, restartedMs } = await breakAll(
      context,
      new FaultRun(server, folder),
      rounds,
    );
    await Bun.sleep(1_000);
    await load.stop();
    return loadFigures(load, replacedMs, restartedMs);
  } finally {
    await load.stop();
  }
}

function loadFigures(
  load: MixedLoad,
  replacedMs: readonly number[],
  restartedMs: readonly number[],
): Record<string, Figure> {
  const { answered, degraded, lost, refused, slowestMs, others } = load.counts;
  const failed = [...others.values()].reduce((sum, count) => sum + count, 0) + lost + refused;
  const figure = (value: number, unit: string): Figure => ({ value, unit });
  return {
    rankingFaults: figure(replacedMs.length, "faults"),
    replacedMsMax: figure(Math.max(...replacedMs), "ms"),
    replacedMsP50: figure(percentile(replacedMs, 0.5), "ms"),
    roleFaults: figure(restartedMs.length, "faults"),
    restartedMsMax: figure(Math.max(...restartedMs), "ms"),
    requestsAnswered: figure(answered, "requests"),
    requestsFailed: figure(failed, "requests"),
    answersDegraded: figure(degraded, "answers"),
    slowestAnswerMs: figure(slowestMs, "ms"),
  };
}

async function run(context: BenchContext): Promise<Record<string, Figure>> {
  const root = mkdtempSync(join(tmpdir(), "recmaster-failures-"));
  const [dataDir, folder] = [join(root, "data"), join(root, "faults")];
  mkdirSync(folder);
  const own = { REC_TEST_FAULTS: folder, REC_DEFINITION: definition, ...shares };
  const env = { ...own, RANK_WORKERS: `${rankWorkers}`, LOG_LEVEL: "error" };
  const ledger = new Ledger();
  try {
    const server = await startServer({ dataDir, env });
    const figures = await underLoad(context, server, { folder, ledger });
    figures.exitCode = { value: await server.stop(), unit: "code" };
    const state = await checkStateOf(dataDir, { REC_DEFINITION: definition });
    if (state.exitCode !== 0) context.say(state.output);
    figures.stateDiffering = { value: state.differing, unit: "differences" };
    const { eventsLost, eventsTwice } = await verify(dataDir, ledger);
    figures.eventsLost = { value: eventsLost, unit: "events" };
    figures.eventsTwice = { value: eventsTwice, unit: "events" };
    requireZero(figures, mustBeZero);
    return figures;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const mustBeZero = ["requestsFailed", "exitCode", "stateDiffering", "eventsLost", "eventsTwice"];

export const bench: Bench = {
  name: "failures",
  about: "Threads that throw, hang or exit under load: what fails, and when they are replaced.",
  options: { rounds: { kind: "number", help: "rounds of all faults", default: 4, min: 1 } },
  run,
};

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecError } from "../models/core/errors.ts";
import { Random } from "../models/core/random.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { type ServerProcess, startServer } from "./server-process.ts";
import { percentile } from "./statistics.ts";
import { Ledger } from "./survival/ledger.ts";
import { type LoadCounts, MixedLoad } from "./survival/mixed-load.ts";
import { checkStateOf, copyOf, verify } from "./survival/verify.ts";

/** Load goes on for so long before the kill. */
const killAfterMs = { from: 200, to: 1_500 };
const loops = { events: 3, slates: 3, documents: 1 };
/** So often the server is stopped once between two kills: its roles then leave checkpoints. */
const stopEvery = 5;
/** After so many kills a new folder begins: each round checks the whole of one. */
const killsPerFolder = 25;
/** Samples are made, and made durable, between kills too. */
const env = { REC_DEFINITION: join(import.meta.dir, "survival", "short-attribution.ts") };

/** What one round found. */
interface Round {
  readonly acknowledged: number;
  readonly readyMs: number;
  /** Answers other than 200 before the kill. */
  readonly failedAlive: number;
  readonly events: number;
  readonly eventsLost: number;
  readonly eventsTwice: number;
  readonly documentsLost: number;
  readonly slatesOfOthers: number;
  readonly stateDiffering: number;
  readonly stateDifferingShare: number;
  readonly slates: number;
  readonly samples: number;
}

class CrashRun {
  readonly ledger = new Ledger();
  /** Of the first stop that did not end with 0. */
  exitCode = 0;
  readonly #context: BenchContext;
  readonly #dataDir: string;
  readonly #random: Random;
  #server: ServerProcess;

  private constructor(
    context: BenchContext,
    folder: { path: string; server: ServerProcess; seed: number },
  ) {
    this.#context = context;
    this.#dataDir = folder.path;
    this.#server = folder.server;
    this.#random = new Random(folder.seed);
  }

  /** Starts a server in a folder of its own. */
  static async start(context: BenchContext, seed: number): Promise<CrashRun> {
    const path = mkdtempSync(join(tmpdir(), "recmaster-crash-"));
    return new CrashRun(context, { path, seed, server: await startServer({ dataDir: path, env }) });
  }

  async round(index: number): Promise<Round> {
    const counts = await this.#loadAndKill(index);
    const copy = copyOf(this.#dataDir);
    try {
      const state = await checkStateOf(copy.path, env);
      if (state.exitCode !== 0) this.#context.say(state.output);
      const found = await verify(copy.path, this.ledger);
      if (index % stopEvery === stopEvery - 1) await this.#stopOnce();
      this.#server = await startServer({ dataDir: this.#dataDir, env });
      const others = [...counts.others].reduce((sum, [, count]) => sum + count, 0);
      return {
        ...{ ...found, readyMs: this.#server.readyMs, failedAlive: others },
        acknowledged: this.ledger.acknowledged.length,
        ...{ stateDiffering: state.differing, stateDifferingShare: state.differingShare },
        ...{ slates: state.records.served ?? 0, samples: state.records.samples ?? 0 },
      };
    } finally {
      copy.remove();
    }
  }

  async #stopOnce(): Promise<void> {
    const server = await startServer({ dataDir: this.#dataDir, env });
    this.exitCode ||= await server.stop();
  }

  async #loadAndKill(index: number): Promise<LoadCounts> {
    const load = new MixedLoad({
      ...{ port: this.#server.port, seed: this.#random.int(2 ** 31), name: `r${index}` },
      ...{ ledger: this.ledger, ...loops },
    });
    load.start();
    const { from, to } = killAfterMs;
    await Bun.sleep(from + this.#random.int(to - from));
    await this.#server.kill();
    await load.ended();
    return load.counts;
  }

  /** Everything acknowledged must be known to the server that runs now: how many are not. */
  async takenAgain(): Promise<number> {
    const ids = this.ledger.acknowledged;
    let accepted = 0;
    for (let from = 0; from < ids.length; from += 5_000) {
      const batch = ids.slice(from, from + 5_000).map((id) => ({
        ...{ id, type: "click", user: "u0", item: "i0" },
      }));
      const response = await fetch(`http://127.0.0.1:${this.#server.port}/v1/events`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(batch),
      });
      const answer: { accepted: number } = JSON.parse(await response.text());
      accepted += answer.accepted;
    }
    return accepted;
  }

  async stop(): Promise<void> {
    this.exitCode ||= await this.#server.stop();
  }

  /** Whatever still runs ends, and the folder goes. */
  async remove(): Promise<void> {
    await this.#server.kill();
    rmSync(this.#dataDir, { recursive: true, force: true });
  }
}

/** What all folders together gave. */
class Findings {
  readonly rounds: Round[] = [];
  /** The last round of each folder: how much was in it. */
  readonly #last: Round[] = [];
  takenAgain = 0;
  exitCode = 0;

  add(round: Round, isFirstOfFolder: boolean): void {
    this.rounds.push(round);
    if (!isFirstOfFolder) this.#last.pop();
    this.#last.push(round);
  }

  figures(): Record<string, Figure> {
    const { rounds } = this;
    const most = (of: (round: Round) => number) => Math.max(0, ...rounds.map(of));
    const all = (of: (round: Round) => number) => this.#last.reduce((sum, one) => sum + of(one), 0);
    const count = (value: number, unit: string): Figure => ({ value, unit });
    const ready = rounds.map(({ readyMs }) => readyMs);
    const failedAlive = rounds.reduce((sum, { failedAlive }) => sum + failedAlive, 0);
    return {
      rounds: count(rounds.length, "kills"),
      folders: count(this.#last.length, "folders"),
      readyAgainMsMax: count(Math.max(0, ...ready), "ms"),
      readyAgainMsP50: count(rounds.length === 0 ? 0 : percentile(ready, 0.5), "ms"),
      eventsAcknowledged: count(
        all(({ acknowledged }) => acknowledged),
        "events",
      ),
      eventsInLog: count(
        all(({ events }) => events),
        "events",
      ),
      slatesInLog: count(
        all(({ slates }) => slates),
        "slates",
      ),
      samplesInLog: count(
        all(({ samples }) => samples),
        "samples",
      ),
      eventsLost: count(
        most(({ eventsLost }) => eventsLost),
        "events",
      ),
      eventsTwice: count(
        most(({ eventsTwice }) => eventsTwice),
        "events",
      ),
      eventsTakenAgain: count(this.takenAgain, "events"),
      documentsLost: count(
        most(({ documentsLost }) => documentsLost),
        "documents",
      ),
      slatesOfOthers: count(
        most(({ slatesOfOthers }) => slatesOfOthers),
        "slates",
      ),
      stateDiffering: count(
        most(({ stateDiffering }) => stateDiffering),
        "differences",
      ),
      stateDifferingShare: count(
        most(({ stateDifferingShare }) => stateDifferingShare),
        "share",
      ),
      failedAlive: count(failedAlive, "requests"),
      exitCode: count(this.exitCode, "code"),
    };
  }
}

const mustBeZero = [
  ...["eventsLost", "eventsTwice", "eventsTakenAgain", "documentsLost", "slatesOfOthers"],
  ...["stateDiffering", "failedAlive", "exitCode"],
];

/** When a run is over before its rounds are: told to stop, or out of time. */
class Ending {
  /** SIGINT reaches the servers too: what is under way then says nothing. */
  interrupted = false;
  readonly #endMs: number;
  readonly #note = () => {
    this.interrupted = true;
  };

  constructor(minutes: number | undefined) {
    this.#endMs = performance.now() + 60_000 * (minutes ?? Number.POSITIVE_INFINITY);
    for (const signal of signals) process.on(signal, this.#note);
  }

  get isNow(): boolean {
    return this.interrupted || performance.now() >= this.#endMs;
  }

  close(): void {
    for (const signal of signals) process.off(signal, this.#note);
  }
}

const signals = ["SIGINT", "SIGTERM"] as const;

/** Kills in one folder, up to its share; then everything acknowledged must still be known. */
async function inFolder(
  context: BenchContext,
  given: { findings: Findings; ending: Ending; total: number; seed: number },
): Promise<void> {
  const { findings, ending, total, seed } = given;
  const crash = await CrashRun.start(context, seed);
  try {
    for (let index = 0; index < killsPerFolder; index++) {
      if (ending.isNow || findings.rounds.length >= total) break;
      const round = await crash.round(index);
      if (ending.interrupted) return;
      findings.add(round, index === 0);
      context.say(lineOf(round, `kill ${findings.rounds.length} of ${total}, seed ${seed}`));
    }
    findings.takenAgain += await crash.takenAgain();
    await crash.stop();
    if (!ending.interrupted) findings.exitCode ||= crash.exitCode;
  } catch (error) {
    if (!ending.interrupted) throw error;
  } finally {
    await crash.remove();
  }
}

function lineOf(round: Round, what: string): string {
  const { events, slates, samples, eventsLost, stateDiffering, readyMs } = round;
  const found = `lost ${eventsLost}, differing ${stateDiffering}`;
  const there = `${events} events, ${slates} slates, ${samples} samples`;
  return `${what}: ${there}; ${found}; ready in ${readyMs.toFixed(0)} ms`;
}

async function run(context: BenchContext): Promise<Record<string, Figure>> {
  const { options, smoke, seed } = context;
  const total = smoke ? 3 : options.number("rounds");
  const ending = new Ending(options.optionalNumber("minutes"));
  const findings = new Findings();
  try {
    for (let folder = 0; findings.rounds.length < total && !ending.isNow; folder++) {
      await inFolder(context, { findings, ending, total, seed: seed + folder });
    }
    const figures = findings.figures();
    requireZero(figures, mustBeZero);
    return figures;
  } catch (error) {
    // What the rounds until then found is said all the same.
    for (const [name, { value, unit }] of Object.entries(findings.figures())) {
      context.say(`${name} ${value} ${unit}`);
    }
    throw error;
  } finally {
    ending.close();
  }
}

/** A figure that must be zero and is not makes the command fail. */
export function requireZero(
  figures: Readonly<Record<string, Figure>>,
  names: readonly string[],
): void {
  const wrong = names.filter((name) => figures[name]?.value !== 0);
  if (wrong.length === 0) return;
  const found = wrong.map((name) => `${name} is ${figures[name]?.value}`).join(", ");
  throw new RecError("REC_BENCH_FAILED", `${found}; each must be 0`);
}

export const bench: Bench = {
  name: "crash",
  about: "kill -9 under mixed load, again and again: what is lost, twice or different after it.",
  options: {
    rounds: { kind: "number", help: "kills", default: 30, min: 1 },
    minutes: { kind: "number", help: "ends with the kill under way after so many", min: 1 },
  },
  run,
};

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
/** Samples are made, and made durable, between kills too. */
const env = { REC_DEFINITION: join(import.meta.dir, "survival", "short-attribution.ts") };

/** What one round found. */
interface Round {
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
  readonly #context: BenchContext;
  readonly #dataDir: string;
  readonly #random: Random;
  #server: ServerProcess;

  constructor(context: BenchContext, dataDir: string, server: ServerProcess) {
    this.#context = context;
    this.#dataDir = dataDir;
    this.#server = server;
    this.#random = new Random(context.seed);
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
        ...{ stateDiffering: state.differing, stateDifferingShare: state.differingShare },
        ...{ slates: state.records.served ?? 0, samples: state.records.samples ?? 0 },
      };
    } finally {
      copy.remove();
    }
  }

  async #stopOnce(): Promise<void> {
    const server = await startServer({ dataDir: this.#dataDir, env });
    const exitCode = await server.stop();
    if (exitCode === 0) return;
    throw new RecError("REC_BENCH_FAILED", `a stop between two kills ended with ${exitCode}`);
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

  stop(): Promise<number> {
    return this.#server.stop();
  }
}

function figuresOf(rounds: readonly Round[], ledger: Ledger): Record<string, Figure> {
  const worst = (of: (round: Round) => number) => Math.max(...rounds.map(of));
  const count = (value: number, unit: string): Figure => ({ value, unit });
  const last = rounds.at(-1);
  const ready = rounds.map(({ readyMs }) => readyMs);
  return {
    rounds: count(rounds.length, "kills"),
    readyAgainMsMax: count(Math.max(...ready), "ms"),
    readyAgainMsP50: count(percentile(ready, 0.5), "ms"),
    eventsAcknowledged: count(ledger.acknowledged.length, "events"),
    eventsInLog: count(last?.events ?? 0, "events"),
    slatesInLog: count(last?.slates ?? 0, "slates"),
    samplesInLog: count(last?.samples ?? 0, "samples"),
    eventsLost: count(
      worst(({ eventsLost }) => eventsLost),
      "events",
    ),
    eventsTwice: count(
      worst(({ eventsTwice }) => eventsTwice),
      "events",
    ),
    documentsLost: count(
      worst(({ documentsLost }) => documentsLost),
      "documents",
    ),
    slatesOfOthers: count(
      worst(({ slatesOfOthers }) => slatesOfOthers),
      "slates",
    ),
    stateDiffering: count(
      worst(({ stateDiffering }) => stateDiffering),
      "differences",
    ),
    stateDifferingShare: count(
      worst(({ stateDifferingShare }) => stateDifferingShare),
      "share",
    ),
    failedAlive: count(
      rounds.reduce((sum, { failedAlive }) => sum + failedAlive, 0),
      "requests",
    ),
  };
}

const mustBeZero = [
  ...["eventsLost", "eventsTwice", "eventsTakenAgain", "documentsLost", "slatesOfOthers"],
  ...["stateDiffering", "failedAlive", "exitCode"],
];

async function run(context: BenchContext): Promise<Record<string, Figure>> {
  const { options, smoke, say } = context;
  const count = smoke ? 3 : options.number("rounds");
  const dataDir = mkdtempSync(join(tmpdir(), "recmaster-crash-"));
  try {
    const crash = new CrashRun(context, dataDir, await startServer({ dataDir, env }));
    const rounds: Round[] = [];
    for (let index = 0; index < count; index++) {
      const round = await crash.round(index);
      rounds.push(round);
      const { events, readyMs, eventsLost, stateDiffering } = round;
      say(
        `kill ${index + 1}: ${events} events, ${round.slates} slates, ${round.samples} samples; ` +
          `lost ${eventsLost}, differing ${stateDiffering}; ready in ${readyMs.toFixed(0)} ms`,
      );
    }
    const again = await crash.takenAgain();
    const exitCode = await crash.stop();
    const figures = {
      ...figuresOf(rounds, crash.ledger),
      eventsTakenAgain: { value: again, unit: "events" },
      exitCode: { value: exitCode, unit: "code" },
    };
    requireZero(figures, mustBeZero);
    return figures;
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
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
  options: { rounds: { kind: "number", help: "kills", default: 30, min: 1 } },
  run,
};

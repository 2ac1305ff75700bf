import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../models/core/random.ts";
import { requireZero } from "./crash.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { startServer } from "./server-process.ts";
import { percentile } from "./statistics.ts";
import { Ledger } from "./survival/ledger.ts";
import { MixedLoad } from "./survival/mixed-load.ts";
import { checkStateOf, verify } from "./survival/verify.ts";

const loops = { events: 3, slates: 3, documents: 1 };
/** Load goes on for so long before the signal. */
const stopAfterMs = { from: 300, to: 1_200 };

/** What one SIGTERM under load led to. */
interface Stopped {
  readonly exitCode: number;
  readonly stopMs: number;
  readonly answered: number;
  readonly lost: number;
  readonly others: number;
}

async function stopUnderLoad(
  dataDir: string,
  ledger: Ledger,
  round: { index: number; random: Random },
): Promise<Stopped> {
  const { index, random } = round;
  const server = await startServer({ dataDir });
  const seed = random.int(2 ** 31);
  const load = new MixedLoad({ port: server.port, seed, name: `s${index}`, ledger, ...loops });
  load.start();
  const { from, to } = stopAfterMs;
  await Bun.sleep(from + random.int(to - from));
  const fromMs = performance.now();
  const exitCode = await server.stop();
  const stopMs = performance.now() - fromMs;
  await load.ended();
  const { answered, lost } = load.counts;
  const others = [...load.counts.others.values()].reduce((sum, count) => sum + count, 0);
  return { exitCode, stopMs, answered, lost, others };
}

async function run({ options, smoke, seed, say }: BenchContext): Promise<Record<string, Figure>> {
  const count = smoke ? 1 : options.number("rounds");
  const dataDir = mkdtempSync(join(tmpdir(), "recmaster-stop-"));
  const random = new Random(seed);
  const ledger = new Ledger();
  const stops: Stopped[] = [];
  try {
    for (let index = 0; index < count; index++) {
      const one = await stopUnderLoad(dataDir, ledger, { index, random });
      stops.push(one);
      const { exitCode, stopMs, answered, lost, others } = one;
      say(
        `stop ${index + 1}: ${answered} answered, ${lost} lost, ${others} other than 200; ` +
          `exit ${exitCode} after ${stopMs.toFixed(0)} ms`,
      );
    }
    const state = await checkStateOf(dataDir);
    if (state.exitCode !== 0) say(state.output);
    const found = await verify(dataDir, ledger);
    const sum = (of: (one: Stopped) => number) => stops.reduce((total, one) => total + of(one), 0);
    const figure = (value: number, unit: string): Figure => ({ value, unit });
    const stopMs = stops.map((one) => one.stopMs);
    const figures = {
      rounds: figure(stops.length, "stops"),
      requestsAnswered: figure(
        sum(({ answered }) => answered),
        "requests",
      ),
      requestsLost: figure(
        sum(({ lost }) => lost),
        "requests",
      ),
      otherAnswers: figure(
        sum(({ others }) => others),
        "requests",
      ),
      exitCodeMax: figure(Math.max(...stops.map(({ exitCode }) => Math.abs(exitCode))), "code"),
      stopMsP50: figure(percentile(stopMs, 0.5), "ms"),
      stopMsMax: figure(Math.max(...stopMs), "ms"),
      eventsLost: figure(found.eventsLost, "events"),
      eventsTwice: figure(found.eventsTwice, "events"),
      documentsLost: figure(found.documentsLost, "documents"),
      stateDiffering: figure(state.differing, "differences"),
    };
    requireZero(figures, mustBeZero);
    return figures;
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const mustBeZero = [
  ...["requestsLost", "otherAnswers", "exitCodeMax"],
  ...["eventsLost", "eventsTwice", "documentsLost", "stateDiffering"],
];

export const bench: Bench = {
  name: "stop",
  about: "SIGTERM under mixed load: no request without its answer, everything flushed, exit 0.",
  options: { rounds: { kind: "number", help: "stops", default: 10, min: 1 } },
  run,
};

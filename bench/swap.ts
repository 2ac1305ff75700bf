import { join } from "node:path";
import { RecError } from "../models/core/errors.ts";
import { fillEventsDefault } from "./filling.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { memoryMb } from "./process-figures.ts";
import { type MemoryReading, slopePerHour } from "./soak/slope.ts";
import { median, pairedRatio, percentile } from "./statistics.ts";
import { scoreAgain } from "./swap/scored-again.ts";
import {
  type Load,
  type PairSizes,
  pairOptions,
  pairSizesOf,
  type Run,
  Subject,
} from "./swap/subject.ts";

/**
 * Method: two servers that get the same traffic in turns, one that swaps every 100 samples and one
 * that learns the same batches but neither judges nor swaps. Slates are asked for at fixed moments,
 * at 70 % of what the one without swaps can do, and are as long as makes the wanted samples a
 * second; each shown item becomes a sample a second later (`JOINER_EMIT_AFTER_MS`), clicks on some
 * of them its labels. An answer must never name an older model than an answer that had arrived
 * before its request left. Slates of a third server are scored again with the version they name.
 *
 * So that memory can be judged, what is bounded is full before: both servers get the fill of
 * `soak`, and attribution takes a second, so that slates do not wait a day for conversions.
 */

interface Counts {
  readonly samples: number;
  readonly swaps: number;
  readonly merged: number;
  readonly refused: number;
}

async function countsOf(port: number): Promise<Counts> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const of = (name: string) => {
    // With labels or without: all of its lines.
    const found = [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"))];
    if (found.length === 0) throw new RecError("REC_BENCH_METRICS", `no ${name} is reported`);
    return found.reduce((sum, [, value]) => sum + Number(value), 0);
  };
  return {
    samples: of("rec_model_samples_total"),
    swaps: of("rec_model_swaps_total"),
    merged: of("rec_model_publishes_merged_total"),
    refused: of("rec_model_publishes_refused_total"),
  };
}

const pollMs = 250;
const stillPolls = 8;
const pollsMax = 120;

/** The counts once what was shown has been learned: samples stand still, for 30 s at most. */
async function settledCounts(port: number): Promise<Counts> {
  let counts = await countsOf(port);
  for (let polls = 0, still = 0; polls < pollsMax && still < stillPolls; polls++) {
    await Bun.sleep(pollMs);
    const next = await countsOf(port);
    still = next.samples === counts.samples ? still + 1 : 0;
    counts = next;
  }
  return counts;
}

type Totals = Record<"failed" | "decreased" | keyof Counts, number>;

interface Measured {
  readonly pairs: readonly { a: number; b: number }[];
  readonly total: Totals;
}

/** Reads a process' memory again and again until what it returns is called. */
function watchMemory(pid: number): () => MemoryReading[] {
  const readings: MemoryReading[] = [];
  const fromMs = performance.now();
  const timer = setInterval(() => {
    const hours = (performance.now() - fromMs) / 3_600_000;
    readings.push({ hours, memoryMb: memoryMb(pid) });
  }, 500);
  return () => {
    clearInterval(timer);
    return readings;
  };
}

async function measurePairs(
  { swapping, still }: { swapping: Subject; still: Subject },
  load: Load,
  { sizes, say }: { sizes: PairSizes; say: (text: string) => void },
): Promise<Measured> {
  const { port } = swapping.server;
  const p99 = ({ latenciesMs }: Run) => percentile(latenciesMs, 0.99);
  const pairs: { a: number; b: number }[] = [];
  const total: Totals = { failed: 0, decreased: 0, swaps: 0, samples: 0, merged: 0, refused: 0 };
  for (const subject of [still, swapping]) await subject.run(Math.min(3, sizes.seconds), load);
  for (let i = 0; i < sizes.pairs; i++) {
    // Which of the two goes first changes, so that a drift of the machine favours neither.
    const first = i % 2 === 0 ? await still.run(sizes.seconds, load) : null;
    const before = await countsOf(port);
    const during = await swapping.run(sizes.seconds, load);
    const after = await settledCounts(port);
    const without = first ?? (await still.run(sizes.seconds, load));
    pairs.push({ a: p99(without), b: p99(during) });
    for (const line of new Set(during.failures)) say(`    ${line}`);
    total.failed += during.failed;
    total.decreased += during.decreased;
    for (const name of ["swaps", "samples", "merged", "refused"] as const) {
      total[name] += after[name] - before[name];
    }
    const [a, b] = [p99(without).toFixed(1), p99(during).toFixed(1)];
    say(`  pair ${i + 1}: p99 ${a} ms without, ${b} ms with ${after.swaps - before.swaps} swaps`);
  }
  return { pairs, total };
}

/** Growth over the second half of the runs, by the line through the lower envelope of memory. */
function memoryFigures(memory: readonly MemoryReading[], seed: number): Record<string, Figure> {
  const later = memory.slice(memory.length >> 1);
  const last = later.at(-1) ?? { hours: 0, memoryMb: Number.NaN };
  const { value, low = value, high = value } = slopePerHour(later, seed);
  const hours = last.hours - (later[0]?.hours ?? 0);
  return {
    memoryMbLast: { value: last.memoryMb, unit: "MB" },
    memoryGrowthMb: { value: hours * value, unit: "MB", low: hours * low, high: hours * high },
  };
}

function figuresOf(measured: Measured, load: Load, sizes: PairSizes): Record<string, Figure> {
  const { pairs, total } = measured;
  const count = (value: number, unit: string) => ({ value, unit });
  const seconds = sizes.pairs * sizes.seconds;
  return {
    ratePerSecond: count(load.ratePerSecond, "slates/s"),
    slateItems: count(load.slate, "items"),
    samplesPerSecond: count(total.samples / seconds, "samples/s"),
    swaps: count(total.swaps, "swaps"),
    samples: count(total.samples, "samples"),
    swapsPerHundredSamples: count((100 * total.swaps) / total.samples, "swaps"),
    publishesMerged: count(total.merged, "publishes"),
    publishesRefused: count(total.refused, "publishes"),
    failed: count(total.failed, "requests"),
    modelDecreased: count(total.decreased, "answers"),
    latencyMsP99Swaps: count(median(pairs.map(({ b }) => b)), "ms"),
    latencyMsP99NoSwaps: count(median(pairs.map(({ a }) => a)), "ms"),
    p99RatioSwaps: pairedRatio(pairs, sizes.seed),
  };
}

async function scoredAgainFigures(sizes: PairSizes): Promise<Record<string, Figure>> {
  // The client shares this process with the server's front: not at its limit.
  const ratePerSecond = 100;
  const { seconds, items, users, seed } = sizes;
  const found = await scoreAgain({ ...{ seconds, items, users, seed, ratePerSecond }, slate: 20 });
  return {
    scoredAgain: { value: found.slates, unit: "slates" },
    scoredAgainVersions: { value: found.versions, unit: "versions" },
    unscored: { value: found.unscored, unit: "slates" },
    mixed: { value: found.mixed, unit: "slates" },
    headsApartMax: { value: found.furthest, unit: "" },
  };
}

async function startBoth({ options, smoke, say }: BenchContext, sizes: PairSizes) {
  const fillEvents = smoke ? 2_000 : options.number("fill");
  say(`  ${fillEvents} events fill the bounded stores of each server`);
  const start = (publishEvery: string) => {
    const env = {
      ...{ PUBLISH_EVERY: publishEvery, JOINER_EMIT_AFTER_MS: "1000" },
      REC_DEFINITION: join(import.meta.dir, "survival", "short-attribution.ts"),
    };
    return Subject.start({ traffic: sizes, env, fillEvents });
  };
  const swapping = await start("100");
  try {
    return { swapping, still: await start("1000000") };
  } catch (error) {
    await swapping.close();
    throw error;
  }
}

export const bench: Bench = {
  name: "swap",
  about: "Model swaps under load: counted, with what they cost the requests.",
  options: {
    ...pairOptions,
    samples: { kind: "number", help: "samples a second that are wanted", default: 5_000, min: 100 },
    // With 20 a run of 10 pairs has 10,000 swaps only where none is merged or refused.
    seconds: { kind: "number", help: "seconds a run", default: 21, min: 1 },
    fill: { kind: "number", help: "events before it", default: fillEventsDefault, min: 0 },
  },
  async run(context) {
    const sizes = pairSizesOf(context, 3);
    const { swapping, still } = await startBoth(context, sizes);
    const figures: Record<string, Figure> = {};
    const watched = watchMemory(swapping.server.pid);
    try {
      const load = await still.loadFor(context);
      const measured = await measurePairs({ swapping, still }, load, { sizes, say: context.say });
      Object.assign(figures, figuresOf(measured, load, sizes));
    } finally {
      Object.assign(figures, memoryFigures(watched(), sizes.seed));
      await Promise.all([swapping.close(), still.close()]);
    }
    return { ...figures, ...(await scoredAgainFigures(sizes)) };
  },
};

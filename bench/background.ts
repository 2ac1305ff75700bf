import type { Bench, Figure } from "./harness.ts";
import { readMetric } from "./read-metric.ts";
import { median, pairedRatio, percentile } from "./statistics.ts";
import {
  type Load,
  type PairSizes,
  pairOptions,
  pairSizesOf,
  type Run,
  Subject,
  type Traffic,
} from "./swap/subject.ts";

/**
 * Method: two servers that get the same requests in turns. One learns from every slate a second
 * later and always has a rebuild of its index under way, since clicks never stop. The slates and
 * the next rebuild of the other wait for a day, so that it neither trains nor rebuilds; its door,
 * its windows and its ranking do the same work. Slates are asked for at fixed moments, at a share
 * of what the one at rest can do, and are as long as makes the wanted samples a second. Before a
 * run the other server has come to rest.
 */

/** A rebuild is due five seconds after the start of the last. */
const smokeSeconds = 8;
/** Processor seconds a second that a server at rest may take. */
const restCores = 0.05;
/** A look is longer than a rebuild rests between two slices; so many are calm in a row. */
const restLookMs = 500;
const restLooks = 3;
const restMsMax = 60_000;

/** Waits until what the server does in the background is done. */
async function rest({ server }: Subject): Promise<void> {
  const untilMs = performance.now() + restMsMax;
  for (let calm = 0; calm < restLooks && performance.now() < untilMs; ) {
    const before = server.cpuSeconds();
    await Bun.sleep(restLookMs);
    const isCalm = server.cpuSeconds() - before < (restCores * restLookMs) / 1_000;
    calm = isCalm ? calm + 1 : 0;
  }
}

interface Background {
  readonly samples: number;
  readonly generations: number;
  readonly rebuildMs: number;
}

async function backgroundOf({ server: { port } }: Subject): Promise<Background> {
  return {
    samples: await readMetric(port, "rec_model_samples_total"),
    generations: await readMetric(port, "rec_recall_generations_total"),
    rebuildMs: await readMetric(port, "rec_recall_rebuild_duration_ms_sum"),
  };
}

interface Pair {
  readonly idle: Run;
  readonly busy: Run;
  /** What went on in the background of the busy run. */
  readonly done: Background;
}

interface Subjects {
  readonly idle: Subject;
  readonly busy: Subject;
}

/** Which of the two goes first changes, so that a drift of the machine favours neither. */
async function onePair(
  { idle, busy }: Subjects,
  load: Load,
  order: { seconds: number; i: number },
) {
  const { seconds, i } = order;
  const runIdle = async () => {
    await rest(busy);
    return idle.run(seconds, load);
  };
  const first = i % 2 === 0 ? await runIdle() : null;
  await rest(idle);
  const before = await backgroundOf(busy);
  const during = await busy.run(seconds, load);
  const after = await backgroundOf(busy);
  const done = {
    samples: after.samples - before.samples,
    generations: after.generations - before.generations,
    rebuildMs: after.rebuildMs - before.rebuildMs,
  };
  return { idle: first ?? (await runIdle()), busy: during, done };
}

const p99 = ({ latenciesMs }: Run) => percentile(latenciesMs, 0.99);

async function measure(
  subjects: Subjects,
  load: Load,
  { sizes, say }: { sizes: PairSizes; say: (text: string) => void },
): Promise<Pair[]> {
  const { seconds } = sizes;
  for (const subject of [subjects.idle, subjects.busy]) {
    await subject.run(Math.min(3, seconds), load);
  }
  const pairs: Pair[] = [];
  for (let i = 0; i < sizes.pairs; i++) {
    const pair = await onePair(subjects, load, { seconds, i });
    pairs.push(pair);
    for (const line of new Set([...pair.idle.failures, ...pair.busy.failures])) say(`    ${line}`);
    const { samples, generations, rebuildMs } = pair.done;
    const work = `${samples} samples, ${generations} generations in ${rebuildMs.toFixed(0)} ms`;
    const [a, b] = [p99(pair.idle).toFixed(1), p99(pair.busy).toFixed(1)];
    say(`  pair ${i + 1}: p99 ${a} ms at rest, ${b} ms with ${work}`);
  }
  return pairs;
}

function figuresOf(pairs: readonly Pair[], load: Load, sizes: PairSizes): Record<string, Figure> {
  const count = (value: number, unit: string) => ({ value, unit });
  const seconds = sizes.pairs * sizes.seconds;
  const total = (of: (pair: Pair) => number) => pairs.reduce((sum, pair) => sum + of(pair), 0);
  const ratios = pairs.map(({ idle, busy }) => ({ a: p99(idle), b: p99(busy) }));
  const middle = (of: (run: Run) => number, kind: "idle" | "busy") =>
    count(median(pairs.map((pair) => of(pair[kind]))), "ms");
  const p50 = ({ latenciesMs }: Run) => percentile(latenciesMs, 0.5);
  return {
    ratePerSecond: count(load.ratePerSecond, "slates/s"),
    slateItems: count(load.slate, "items"),
    samplesPerSecond: count(total(({ done }) => done.samples) / seconds, "samples/s"),
    generations: count(
      total(({ done }) => done.generations),
      "generations",
    ),
    rebuildingShare: count(total(({ done }) => done.rebuildMs) / (1_000 * seconds), "share"),
    failed: count(
      total(({ idle, busy }) => idle.failed + busy.failed),
      "requests",
    ),
    latencyMsP50Background: middle(p50, "busy"),
    latencyMsP50Idle: middle(p50, "idle"),
    latencyMsP99Background: middle(p99, "busy"),
    latencyMsP99Idle: middle(p99, "idle"),
    p99RatioBackground: pairedRatio(ratios, sizes.seed),
  };
}

async function startSubjects(traffic: Traffic): Promise<Subjects> {
  const day = "86400000";
  const start = (env: Readonly<Record<string, string>>) => Subject.start({ traffic, env });
  return {
    busy: await start({ JOINER_EMIT_AFTER_MS: "1000" }),
    idle: await start({ JOINER_EMIT_AFTER_MS: day, RECALL_EVERY_MS: day }),
  };
}

export const bench: Bench = {
  name: "background",
  about: "What training and an index build, under way all the time, cost the requests.",
  options: {
    ...pairOptions,
    samples: { kind: "number", help: "samples a second that are wanted", default: 1_500, min: 100 },
    seconds: { kind: "number", help: "seconds a run", default: 8, min: 1 },
    load: { kind: "number", help: "share of the peak of slates", default: 0.7, min: 0.01 },
  },
  async run(context) {
    const sizes = pairSizesOf(context, smokeSeconds);
    const subjects = await startSubjects(sizes);
    try {
      const load = await subjects.idle.loadFor(context, context.options.number("load"));
      const pairs = await measure(subjects, load, { sizes, say: context.say });
      return figuresOf(pairs, load, sizes);
    } finally {
      await Promise.all([subjects.idle.close(), subjects.busy.close()]);
    }
  },
};

import { ManualClock } from "../models/core/clock.ts";
import { limits } from "../models/limits.ts";
import { runBaseline } from "../workers/simulator/baseline.ts";
import { Environment } from "../workers/simulator/environment.ts";
import type { RecommenderUnderTest } from "../workers/simulator/port.ts";
import type { Figures } from "../workers/simulator/report.ts";
import { runVirtual } from "../workers/simulator/traffic.ts";
import { World } from "../workers/simulator/world.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { overSeeds } from "./statistics.ts";

/** A whole server in this process, under a clock that the caller moves. */
export interface VirtualServer extends RecommenderUnderTest {
  /** Runs everything in the background that is due by then (windows, joins, training, recall). */
  advanceTo(timeMs: number): void | Promise<void>;
  /** From now on the served model stays as it is. */
  freezeWeights(): void;
  /** From now on window counters and recent interactions stay as they are. */
  freezeWindows(): void;
  close?(): void | Promise<void>;
}

export type VirtualServerFactory = (options: {
  clock: ManualClock;
  seed: number;
  /** Samples of a batch and of a model version. */
  publishEvery?: number;
  capacities?: { readonly seenItemsPerUser: number };
}) => Promise<VirtualServer>;

/** What is switched off a minute into a run. */
export const arms = {
  live: { weights: false, windows: false },
  weightsFrozen: { weights: true, windows: false },
  windowsFrozen: { weights: false, windows: true },
  bothFrozen: { weights: true, windows: true },
} as const;

export type ArmName = keyof typeof arms;
const armNames = ["live", "weightsFrozen", "windowsFrozen", "bothFrozen"] as const;

export interface QualitySizes {
  readonly seeds: number;
  readonly firstSeed: number;
  readonly users: number;
  readonly items: number;
  readonly minutes: number;
  /** Minutes at the start that are not counted. */
  readonly warmUpMinutes: number;
  readonly slatesPerSecond: number;
  readonly driftPerHour: number;
  /** Items that users remember, the policies leave out, and the server's seen list holds. */
  readonly memory: number;
}

const minuteMs = 60_000;
const slatesPerSession = 5;
/** Every so many slates one is compared with what the policies would show at that moment. */
const compareEvery = 5;
/** The minutes of a cold world that are told apart. */
const firstMinutes = 3;

function worldOptions(sizes: QualitySizes, seed: number) {
  const { users, items, driftPerHour, memory: seenPerUser } = sizes;
  return { seed, users, items, driftPerHour, seenPerUser, newItemsPerHour: 0.03 * items };
}

export interface ArmRun {
  readonly seed: number;
  readonly arm: ArmName;
  readonly publishEvery?: number;
}

/** One run of the server in one world: the first minutes, and what follows the warm-up. */
export async function runArm(
  create: VirtualServerFactory,
  sizes: QualitySizes,
  run: ArmRun,
): Promise<{ first: Figures; counted: Figures }> {
  const world = new World(worldOptions(sizes, run.seed));
  const { startMs } = world.options;
  const clock = new ManualClock(startMs);
  const { seed, publishEvery } = run;
  const server = await create({
    ...{ clock, seed, capacities: { seenItemsPerUser: sizes.memory } },
    ...(publishEvery ? { publishEvery } : {}),
  });
  const environment = new Environment({
    ...{ world, clock, recommender: server, slatesPerSession, compareEvery },
    sessionsPerSecond: sizes.slatesPerSecond / slatesPerSession,
  });
  await environment.publishItems();
  environment.start();
  environment.queue.at(startMs + minuteMs, () => {
    if (arms[run.arm].weights) server.freezeWeights();
    if (arms[run.arm].windows) server.freezeWindows();
  });
  const advance = (timeMs: number) => server.advanceTo(timeMs);
  const driven = { queue: environment.queue, clock, advance };
  const figuresUntil = async (minutes: number) => {
    await runVirtual({ ...driven, untilMs: startMs + minutes * minuteMs });
    return environment.report.interval();
  };
  const first = await figuresUntil(Math.min(firstMinutes, sizes.warmUpMinutes));
  await figuresUntil(sizes.warmUpMinutes);
  const counted = await figuresUntil(sizes.minutes);
  await server.close?.();
  return { first, counted };
}

type Rates = Record<"random" | "popularity" | "oracle", number>;

async function baselines(sizes: QualitySizes, seed: number): Promise<Rates> {
  const { minutes, warmUpMinutes } = sizes;
  const rate = async (policy: keyof Rates) => {
    const sessionsPerSecond = sizes.slatesPerSecond / slatesPerSession;
    const load = { minutes, warmUpMinutes, sessionsPerSecond };
    const world = worldOptions(sizes, seed);
    return (await runBaseline({ ...load, policy, world })).expectedClickRate;
  };
  return {
    random: await rate("random"),
    popularity: await rate("popularity"),
    oracle: await rate("oracle"),
  };
}

/** All rates of one seed: the policies', and the server's where there is one. */
interface SeedRates extends Rates {
  readonly arms: Readonly<Record<ArmName, number>> | null;
  /** Of the live arm, with what the policies would have shown at the same moments. */
  readonly live: { readonly first: Figures; readonly counted: Figures } | null;
  /** Virtual seconds per real second of the live arm. */
  readonly speed: number;
}

async function runSeed(
  create: VirtualServerFactory | null,
  sizes: QualitySizes,
  seed: number,
): Promise<SeedRates> {
  const rates = await baselines(sizes, seed);
  if (create === null) return { ...rates, arms: null, live: null, speed: Number.NaN };
  const ran = { live: 0, weightsFrozen: 0, windowsFrozen: 0, bothFrozen: 0 };
  const startMs = performance.now();
  const live = await runArm(create, sizes, { seed, arm: "live" });
  const speed = (sizes.minutes * 60 * 1_000) / (performance.now() - startMs);
  ran.live = live.counted.expectedClickRate;
  for (const arm of armNames.slice(1)) {
    ran[arm] = (await runArm(create, sizes, { seed, arm })).counted.expectedClickRate;
  }
  return { ...rates, arms: ran, live, speed };
}

/** The server beside the policies over the items that its users had not seen at that moment. */
function sameMomentFigures(
  over: (unit: string, of: (rates: SeedRates) => number) => Figure,
): Record<string, Figure> {
  const of = (when: "first" | "counted", name: "ownRate" | "popularityRate" | "oracleRate") =>
    over("share", ({ live }) => live?.[when][name] ?? Number.NaN);
  return {
    clickRateFirstMinutes: of("first", "ownRate"),
    clickRateFirstMinutesPopularity: of("first", "popularityRate"),
    clickRateSameMoment: of("counted", "ownRate"),
    clickRateSameMomentPopularity: of("counted", "popularityRate"),
    clickRateSameMomentOracle: of("counted", "oracleRate"),
    serverToPopularitySameMoment: over("ratio", ({ live }) => {
      return (live?.counted.ownRate ?? Number.NaN) / (live?.counted.popularityRate ?? 1);
    }),
  };
}

/** Means over seeds with 95 % intervals. Rates are true click chances per shown item. */
export function qualityFigures(seeds: readonly SeedRates[]): Record<string, Figure> {
  const over = (unit: string, of: (rates: SeedRates) => number) => overSeeds(seeds.map(of), unit);
  const figures: Record<string, Figure> = {
    clickRateRandom: over("share", ({ random }) => random),
    clickRatePopularity: over("share", ({ popularity }) => popularity),
    clickRateOracle: over("share", ({ oracle }) => oracle),
    popularityToRandom: over("ratio", ({ popularity, random }) => popularity / random),
    oracleToRandom: over("ratio", ({ oracle, random }) => oracle / random),
  };
  if (seeds.some((rates) => rates.arms === null)) return figures;
  const armOf = (rates: SeedRates, arm: ArmName) => rates.arms?.[arm] ?? Number.NaN;
  figures.clickRateServer = over("share", (rates) => armOf(rates, "live"));
  figures.shareOfOracleLift = over("share", (rates) => {
    return (armOf(rates, "live") - rates.popularity) / (rates.oracle - rates.popularity);
  });
  for (const arm of armNames.slice(1)) {
    const name = `${arm.charAt(0).toUpperCase()}${arm.slice(1)}`;
    figures[`clickRate${name}`] = over("share", (rates) => armOf(rates, arm));
    figures[`costOf${name}`] = over("share of gain", (rates) => {
      const live = armOf(rates, "live");
      return (live - armOf(rates, arm)) / (live - rates.popularity);
    });
  }
  Object.assign(figures, sameMomentFigures(over));
  figures.virtualSpeed = over("x real time", ({ speed }) => speed);
  return figures;
}

/** The sizes that options say; under --smoke those of `small` stand in their place. */
export function qualitySizes(
  { options, smoke, seed }: BenchContext,
  small: Partial<QualitySizes>,
): QualitySizes {
  return {
    ...{ firstSeed: seed, seeds: options.number("seeds"), users: options.number("users") },
    ...{ items: options.number("items"), minutes: options.number("minutes") },
    warmUpMinutes: options.number("warm-up"),
    slatesPerSecond: options.number("rate"),
    driftPerHour: options.number("drift"),
    memory: options.number("memory"),
    ...(smoke ? small : {}),
  };
}

const smokeSizes = {
  ...{ seeds: 2, users: 200, items: 500, slatesPerSecond: 4 },
  ...{ minutes: 4, warmUpMinutes: 1 },
};

/** What a run in virtual time may be told. */
export const qualityOptions = {
  seeds: { kind: "number", help: "worlds", default: 5, min: 1 },
  users: { kind: "number", help: "users of each", default: 1_000, min: 10 },
  items: { kind: "number", help: "items of each", default: 2_000, min: 50 },
  minutes: { kind: "number", help: "simulated minutes", default: 18, min: 2 },
  "warm-up": { kind: "number", help: "minutes that do not count", default: 8, min: 0 },
  rate: { kind: "number", help: "slates per simulated second", default: 20, min: 0.1 },
  drift: { kind: "number", help: "changes of taste per user and hour", default: 2, min: 0 },
  memory: {
    kind: "number",
    help: "items that users remember, policies leave out, and the server's seen list holds",
    default: limits.seenItemsPerUser,
    min: 1,
    max: limits.seenItemsPerUser,
  },
} as const;

/** `bench quality` over a factory of servers; with null, the policies alone. */
export function qualityBench(create: VirtualServerFactory | null): Bench {
  return {
    name: "quality",
    about: "Click rate beside random, popularity and the oracle, in virtual time, over seeds.",
    options: qualityOptions,
    async run(context) {
      const sizes = qualitySizes(context, smokeSizes);
      const seeds: SeedRates[] = [];
      for (let i = 0; i < sizes.seeds; i++) {
        const rates = await runSeed(create, sizes, sizes.firstSeed + i);
        const text = (rate: number) => `${(100 * rate).toFixed(2)} %`;
        const { arms: ran } = rates;
        const frozen =
          ran === null
            ? ""
            : `; frozen: weights ${text(ran.weightsFrozen)}, windows ${text(ran.windowsFrozen)}, ` +
              `both ${text(ran.bothFrozen)}; ${rates.speed.toFixed(0)} x real time`;
        const server = ran === null ? "" : `, server ${text(ran.live)}`;
        const { random, popularity, oracle } = rates;
        context.say(
          `seed ${sizes.firstSeed + i}: random ${text(random)}, popularity ${text(popularity)}` +
            `${server}, oracle ${text(oracle)}${frozen}`,
        );
        seeds.push(rates);
      }
      return qualityFigures(seeds);
    },
  };
}

import { ManualClock } from "../../models/core/clock.ts";
import { Random } from "../../models/core/random.ts";
import { Environment } from "./environment.ts";
import { oraclePolicy, randomPolicy } from "./policies.ts";
import { type PolicyName, PolicyRecommender } from "./policy-recommender.ts";
import type { Figures } from "./report.ts";
import { runVirtual } from "./traffic.ts";
import { World } from "./world.ts";
import type { WorldOptions } from "./world-options.ts";

export interface BaselineOptions {
  readonly policy: PolicyName;
  readonly world?: Partial<WorldOptions>;
  readonly sessionsPerSecond: number;
  readonly minutes: number;
  /** Minutes at the start that are run but not counted. */
  readonly warmUpMinutes?: number;
}

/** A whole run in virtual time under one policy; figures after the warm-up. */
export async function runBaseline(options: BaselineOptions): Promise<Figures> {
  const world = new World(options.world ?? {});
  const clock = new ManualClock(world.options.startMs);
  const recommender = new PolicyRecommender();
  const { sessionsPerSecond } = options;
  const environment = new Environment({
    ...{ world, clock, recommender, sessionsPerSecond },
    compareEvery: 0,
  });
  recommender.serve(environment, policyOf(environment, options.policy));
  environment.start();
  const untilMs = (minutes: number) => world.options.startMs + minutes * 60_000;
  const warmUp = options.warmUpMinutes ?? 0;
  await runVirtual({ queue: environment.queue, clock, untilMs: untilMs(warmUp) });
  environment.report.interval();
  await runVirtual({ queue: environment.queue, clock, untilMs: untilMs(options.minutes) });
  return environment.report.interval();
}

function policyOf(environment: Environment, name: PolicyName) {
  if (name === "popularity") return environment.popularity;
  if (name === "oracle") return oraclePolicy(environment.oracle);
  return randomPolicy(environment.population, new Random(9));
}

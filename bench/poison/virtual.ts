import { ManualClock } from "../../models/core/clock.ts";
import definition from "../../models/definition/default.ts";
import { VirtualServer } from "../../server/assembly/virtual-server.ts";
import { Environment } from "../../workers/simulator/environment.ts";
import { runVirtual } from "../../workers/simulator/traffic.ts";
import { World } from "../../workers/simulator/world.ts";
import { Attacker, type AttackName, attackOf } from "./attacks.ts";

export interface VirtualSizes {
  readonly users: number;
  readonly items: number;
  readonly slatesPerSecond: number;
  /** Minutes until the attack; it lasts `attackMinutes`, a slow one `slowMinutes`. */
  readonly warmUpMinutes: number;
  readonly attackMinutes: number;
  readonly slowMinutes: number;
}

export interface VirtualRun {
  readonly seed: number;
  readonly attack: AttackName | null;
  /** How long the click rate is measured, from the attack on. */
  readonly minutes: number;
  readonly guarded: boolean;
}

const minuteMs = 60_000;
const slatesPerSession = 5;

/** Mean true click chance of what was shown while the attack went on. */
export async function clickRateUnder(sizes: VirtualSizes, run: VirtualRun): Promise<number> {
  const { users, items } = sizes;
  const world = new World({ seed: run.seed, users, items, driftPerHour: 2 });
  const { startMs } = world.options;
  const clock = new ManualClock(startMs);
  const fromMs = startMs + sizes.warmUpMinutes * minuteMs;
  const seconds = definition.heads.map(({ kind }) => kind === "seconds");
  const { attack } = run;
  const attacker =
    attack === null ? null : new Attacker(attackOf(attack, { seconds, userRow: 0 }), run.seed);
  const age = () => (clock.nowMs() - fromMs) / (run.minutes * minuteMs);
  const server = await VirtualServer.open({
    ...{ clock, definition, seed: run.seed, guarded: run.guarded },
    // The attack comes sooner than an hour after the start.
    matureMs: (sizes.warmUpMinutes * minuteMs) / 2,
    samplesThrough: (sample) => attacker?.through(sample, age()) ?? sample,
  });
  const environment = new Environment({
    ...{ world, clock, recommender: server, slatesPerSession, compareEvery: 0 },
    sessionsPerSecond: sizes.slatesPerSecond / slatesPerSession,
  });
  await environment.publishItems();
  environment.start();
  const advance = (timeMs: number) => server.advanceTo(timeMs);
  const driven = { queue: environment.queue, clock, advance };
  await runVirtual({ ...driven, untilMs: fromMs });
  environment.report.interval();
  await runVirtual({ ...driven, untilMs: fromMs + run.minutes * minuteMs });
  await server.close();
  return environment.report.interval().expectedClickRate;
}

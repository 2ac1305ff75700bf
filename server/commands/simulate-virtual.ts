import { ManualClock } from "../../models/core/clock.ts";
import definition from "../../models/definition/default.ts";
import { Environment } from "../../workers/simulator/environment.ts";
import { runVirtual } from "../../workers/simulator/traffic.ts";
import type { World } from "../../workers/simulator/world.ts";
import { VirtualServer } from "../assembly/virtual-server.ts";
import { header, row } from "./simulate-table.ts";

export interface VirtualRun {
  readonly world: World;
  readonly minutes: number;
  readonly seed: number;
  readonly slatesPerSecond: number;
  readonly write: (text: string) => void;
}

const slatesPerSession = 5;
const minuteMs = 60_000;

/** The users on a whole server in this process, in virtual time; a line per simulated minute. */
export async function liveVirtually(run: VirtualRun): Promise<void> {
  const { world, write, seed } = run;
  const { startMs } = world.options;
  const clock = new ManualClock(startMs);
  const server = await VirtualServer.open({ definition, clock, seed });
  const sessionsPerSecond = run.slatesPerSecond / slatesPerSession;
  const environment = new Environment({
    ...{ world, clock, recommender: server, slatesPerSession, sessionsPerSecond },
  });
  await environment.publishItems();
  environment.start();
  write(header);
  const said = () => ({ ...server.published(), freshnessMs: Number.NaN });
  const beganMs = performance.now();
  const endMs = startMs + run.minutes * minuteMs;
  const driven = { queue: environment.queue, clock };
  for (let untilMs = startMs; untilMs < endMs; ) {
    untilMs = Math.min(endMs, untilMs + minuteMs);
    await runVirtual({ ...driven, untilMs, advance: (timeMs) => server.advanceTo(timeMs) });
    write(row(environment.report.interval(), said()));
  }
  write(`${header}${row(environment.report.total(), said())}`);
  const speed = (endMs - startMs) / (performance.now() - beganMs);
  await server.close();
  write(`${run.minutes} simulated minutes at ${speed.toFixed(0)} x real time\n`);
}

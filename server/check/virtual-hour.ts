import { ManualClock } from "../../models/core/clock.ts";
import feed from "../../models/definition/default.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { Environment } from "../../workers/simulator/environment.ts";
import { runVirtual } from "../../workers/simulator/traffic.ts";
import { World } from "../../workers/simulator/world.ts";
import type { TailedLog } from "../../workers/stores/event-log.ts";
import { VirtualServer } from "../assembly/virtual-server.ts";

export interface VirtualTraffic {
  readonly seed: number;
  readonly minutes: number;
  readonly users: number;
  readonly items: number;
  /** Slates a second. */
  readonly rate: number;
  /** Partitions of users. */
  readonly partitions?: number;
  /** Default: the video feed. */
  readonly definition?: RecommenderDefinition;
}

const slatesPerSession = 5;
const startMs = Date.UTC(2026, 0, 5, 8);

/** Users living on a whole server in virtual time; then `look` gets its log, which kept all. */
export async function serveVirtually<T>(
  traffic: VirtualTraffic,
  look: (log: TailedLog) => Promise<T>,
): Promise<T> {
  const { seed, users, items, minutes, partitions = 1, definition = feed } = traffic;
  const clock = new ManualClock(startMs);
  const server = await VirtualServer.open({ definition, clock, seed, keepsLog: true, partitions });
  try {
    const environment = new Environment({
      world: new World({ seed, startMs, users, items, newItemsPerHour: items }),
      ...{ clock, recommender: server, slatesPerSession },
      sessionsPerSecond: traffic.rate / slatesPerSession,
    });
    await environment.publishItems();
    environment.start();
    const untilMs = startMs + minutes * 60_000;
    const advance = (timeMs: number) => server.advanceTo(timeMs);
    await runVirtual({ queue: environment.queue, clock, untilMs, advance });
    return await look(server.log);
  } finally {
    await server.close();
  }
}

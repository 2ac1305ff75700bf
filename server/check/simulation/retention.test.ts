import { expect, test } from "bun:test";
import { ManualClock } from "../../../models/core/clock.ts";
import { Random } from "../../../models/core/random.ts";
import definition from "../../../models/definition/default.ts";
import type { LogReader, Topic } from "../../../workers/stores/event-log.ts";
import { FaultyFileSystem } from "../../../workers/stores/faulty-file-system.ts";
import { SimulatedClients } from "./clients.ts";
import { SimulationLedger } from "./ledger.ts";
import { SimulatedServer } from "./simulated-server.ts";
import { live, stateOf } from "./testing/lived-in.ts";

/** The shortest retention there is; `items` stays, as the documents here are made from it. */
const least = (...heldBy: LogReader[]) => ({ sizeBytesMax: 1, heldBy });
const retention = {
  events: least("ingest", "windows", "joiner"),
  served: least("windows", "joiner"),
  samples: least("trainer"),
  commits: least("windows"),
};

test("old segments go, and a start stands where the process stood", async () => {
  const disk = new FaultyFileSystem(new Random(1));
  const clock = new ManualClock(Date.UTC(2026, 0, 5, 8));
  const warnings: string[] = [];
  const options = {
    ...{
      definition,
      disk,
      clock,
      seed: 1,
      segmentBytes: 2_048,
      publishEvery: 20,
      emitAfterMs: 5_000,
    },
    ...{ definition, durability: "fsync" as const, retention, differ: () => {} },
    warn: (text: string) => void warnings.push(text),
  };
  const clients = new SimulatedClients(new Random(2), new SimulationLedger());
  let server = await SimulatedServer.open(options);
  for (let life = 0; life < 3; life++) {
    await live(server, { clients, clock, rounds: 60 });
    while (server.windows?.caughtUp === false) await server.windows.step();
    const before = stateOf(server);
    const starts = startsOf(server);
    // The longest kept events are those of conversions, which belong to a slate for a day.
    if (life > 0) expect(Object.entries(starts).filter(([, start]) => start === 0)).toEqual([]);
    disk.killProgram();
    await server.abandon([]);
    server = await SimulatedServer.open(options);
    while (server.windows?.caughtUp === false) await server.windows.step();
    expect(stateOf(server)).toEqual(before);
    expect(startsOf(server)).toEqual(starts);
    // After a day nothing of before belongs to a slate.
    clock.advanceTo(clock.nowMs() + 25 * 3_600_000);
    await server.joiner?.step();
  }
  expect(warnings.filter((text) => text.includes("lost"))).toEqual([]);
  await server.close();
}, 60_000);

function startsOf({ log }: SimulatedServer) {
  const of = (topic: Topic) => log.startOffset(topic, 0);
  const [events, served] = [of("events"), of("served")];
  return { events, served, samples: of("samples"), commits: of("commits") };
}

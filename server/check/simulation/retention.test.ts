import { expect, test } from "bun:test";
import { ManualClock } from "../../../models/core/clock.ts";
import { Random } from "../../../models/core/random.ts";
import definition from "../../../models/definition/default.ts";
import type { LogReader } from "../../../workers/stores/event-log.ts";
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
  commits: least("windows", "trainer"),
};

const name = "old segments go, and a start stands where the process stood";
test.each([1, 3])(
  `${name}: %i partitions of users`,
  async (partitions) => {
    const disk = new FaultyFileSystem(new Random(1));
    const clock = new ManualClock(Date.UTC(2026, 0, 5, 8));
    const warnings: string[] = [];
    const options = {
      ...{ definition, disk, clock, seed: 1, partitions },
      ...{ segmentBytes: 2_048, publishEvery: 20, emitAfterMs: 5_000 },
      ...{ durability: "fsync" as const, retention, differ: () => {} },
      warn: (text: string) => void warnings.push(text),
    };
    const clients = new SimulatedClients(new Random(2), new SimulationLedger());
    let server = await SimulatedServer.open(options);
    for (let life = 0; life < 3; life++) {
      await live(server, { clients, clock, rounds: 60 * partitions });
      await catchUp(server);
      const before = stateOf(server);
      const starts = startsOf(server);
      // The longest kept events are those of conversions, which belong to a slate for a day.
      if (life > 0) expect(Object.entries(starts).filter(([, start]) => start === 0)).toEqual([]);
      disk.killProgram();
      await server.abandon([]);
      server = await SimulatedServer.open(options);
      await catchUp(server);
      expect(stateOf(server)).toEqual(before);
      expect(startsOf(server)).toEqual(starts);
      // What was kept is enough: the trainer has learned all there is again.
      expect(server.trainer?.trainer.readOffset).toBe(before.learned);
      // After a day nothing of before belongs to a slate.
      clock.advanceTo(clock.nowMs() + 25 * 3_600_000);
      for (const joiner of [server.joiner, server.joiner1]) await joiner?.step();
    }
    expect(warnings.filter((text) => text.includes("lost"))).toEqual([]);
    await server.close();
  },
  120_000,
);

async function catchUp(server: SimulatedServer): Promise<void> {
  for (const windows of [server.windows, server.windows1]) {
    while (windows?.caughtUp === false) await windows.step();
  }
  while (((await server.trainer?.step()) ?? 0) > 0);
}

/** Where each partition begins, of all topics that something may go of. */
function startsOf({ log }: SimulatedServer): Record<string, number> {
  const starts: Record<string, number> = {};
  for (const topic of ["events", "served", "samples", "commits"] as const) {
    for (let partition = 0; partition < log.partitions(topic); partition++) {
      starts[`${topic}/${partition}`] = log.startOffset(topic, partition);
    }
  }
  return starts;
}

import { expect, test } from "bun:test";
import { ManualClock } from "../../../models/core/clock.ts";
import { RecError } from "../../../models/core/errors.ts";
import { Random } from "../../../models/core/random.ts";
import definition from "../../../models/definition/default.ts";
import type { Topic } from "../../../workers/stores/event-log.ts";
import { FaultyFileSystem } from "../../../workers/stores/faulty-file-system.ts";
import { readAll } from "../../../workers/stores/read-all.ts";
import { SimulatedClients } from "./clients.ts";
import { SimulationLedger } from "./ledger.ts";
import { type SimulatedOptions, SimulatedServer } from "./simulated-server.ts";
import { live, stateOf } from "./testing/lived-in.ts";

/** A lived-in data folder whose process was killed, and how it stood. */
async function killed() {
  const disk = new FaultyFileSystem(new Random(1));
  const clock = new ManualClock(Date.UTC(2026, 0, 5, 8));
  const said: string[] = [];
  const options: SimulatedOptions = {
    ...{
      definition,
      disk,
      clock,
      seed: 1,
      segmentBytes: 4_096,
      publishEvery: 20,
      emitAfterMs: 5_000,
    },
    ...{ durability: "fsync", differ: () => {} },
    warn: (text) => void said.push(text),
  };
  const clients = new SimulatedClients(new Random(2), new SimulationLedger());
  const server = await SimulatedServer.open(options);
  await live(server, { clients, clock, rounds: 17 });
  // Nothing of before belongs to a slate any more: the joiner reads none of it again.
  clock.advanceTo(clock.nowMs() + 25 * 3_600_000);
  await server.joiner?.step();
  await live(server, { clients, clock, rounds: 12 });
  await settle(server);
  const state = whole(server);
  disk.killProgram();
  await server.abandon([]);
  return { disk, said, state, open: () => SimulatedServer.open(options) };
}

async function settle({ windows, joiner, trainer }: SimulatedServer): Promise<void> {
  while (windows?.caughtUp === false) await windows.step();
  while (((await joiner?.step()) ?? 0) > 0);
  while (((await trainer?.step()) ?? 0) > 0);
}

function whole(server: SimulatedServer) {
  const { trainer } = server;
  const weights = trainer === null ? [] : [...trainer.trainer.trainer.save()];
  const state = stateOf(server);
  // Seen items are noted with the answers; a replay knows their records only, in another order.
  const windows = state.windows.filter(([name]) => !name?.startsWith("seen"));
  return { ...state, windows, offset: trainer?.trainer.offset, weights };
}

type Harm = "turned bit" | "torn end";

function harm(disk: FaultyFileSystem, path: string, how: Harm): void {
  const file = disk.open(path, "write");
  const size = file.size();
  if (how === "turned bit") disk.flipBit(path, Math.floor(size * 0.4), 3);
  else file.truncate(Math.floor(size * 0.6));
}

const harms: readonly Harm[] = ["turned bit", "torn end"];

test.each([
  ["windows' checkpoint", "checkpoints/windows", ".snap"],
  ["windows' manifest", "checkpoints/windows", ".json"],
  ["ingest's checkpoint", "checkpoints/ingest", ".snap"],
  ["ingest's manifest", "checkpoints/ingest", ".json"],
  ["model snapshot", "models", ".snap"],
  ["model manifest", "models", ".json"],
])(
  "%s damaged: found, told, and the one before with the log gives the same",
  async (...given) => {
    const [, folder, extension] = given;
    for (const how of harms) {
      const { disk, said, state, open } = await killed();
      const directory = `data/${folder}`;
      const name = disk.list(directory).findLast((one) => one.endsWith(extension));
      harm(disk, `${directory}/${name}`, how);
      said.length = 0;
      const again = await open();
      await settle(again);
      expect(whole(again)).toEqual(state);
      const version = `${directory}/${name?.slice(0, 10)}`;
      const told = said.filter((text) => text.includes(version));
      expect([how, told.length > 0]).toEqual([how, true]);
      await again.close();
    }
  },
  60_000,
);

const segmentsOf = (disk: FaultyFileSystem, topic: Topic) =>
  disk.list(`data/log/${topic}/0`).map((name) => `data/log/${topic}/0/${name}`);

const topics: readonly Topic[] = ["events", "served", "samples", "items", "commits"];

/** What reading a topic from its first record throws. */
async function readingOf({ log }: SimulatedServer, topic: Topic): Promise<unknown> {
  try {
    await readAll(log, { topic, partition: 0, offset: 0 }, () => {});
  } catch (thrown) {
    return thrown;
  }
  return null;
}

// Of `items` the documents here are made anew at each start: it is read from its first record.
test.each(topics.filter((topic) => topic !== "items").map((topic) => [topic]))(
  "an old segment of %s damaged: a start does without it, and a reader is told what is lost",
  async (topic) => {
    for (const how of harms) {
      const { disk, state, open } = await killed();
      const [path = "", next = ""] = segmentsOf(disk, topic);
      harm(disk, path, how);
      const again = await open();
      await settle(again);
      expect(whole(again)).toEqual(state);
      const error = await readingOf(again, topic);
      expect(error).toBeInstanceOf(RecError);
      expect(error).toHaveProperty("code", "REC_LOG_CORRUPT");
      const to = Number(next.match(/(\d+)\.log$/)?.[1]) - 1;
      const lost = `records from offset \\d+ to ${to} are lost at most`;
      const found = `${path}: no whole, correct group at byte \\d+; ${lost}`;
      expect(String(error)).toMatch(new RegExp(found));
      await again.close();
    }
  },
  60_000,
);

test.each(topics.map((topic) => [topic]))(
  "the last segment of %s torn: cut at the last whole group, told, and the server goes on",
  async (topic) => {
    const { disk, said, open } = await killed();
    const path = segmentsOf(disk, topic).at(-1) ?? "";
    const file = disk.open(path, "write");
    file.truncate(file.size() - 9);
    said.length = 0;
    const again = await open();
    const cuts = said.filter((text) => text.startsWith(`${path}: cut `));
    expect(cuts).toHaveLength(1);
    expect(cuts[0]).toContain(`at offset ${again.log.endOffset(topic, 0)}`);
    await settle(again);
    // What is written now is read by everybody.
    const accepted = await again.ingest.events.ingest(
      [{ value: { type: "click", user: "after", item: "after", id: "after" } }],
      null,
    );
    expect(accepted).toMatchObject({ accepted: 1 });
    await again.ingest.documents.put("item", [{ id: "after", document: { title: "after" } }]);
    await settle(again);
    expect(again.windows?.caughtUp).toBe(true);
    expect(again.state.users.find("after")).toBeGreaterThan(0);
    await again.close();
  },
  60_000,
);

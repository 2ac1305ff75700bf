import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "../../../models/core/clock.ts";
import { messageOf, RecError } from "../../../models/core/errors.ts";
import { Random } from "../../../models/core/random.ts";
import feed from "../../../models/definition/default.ts";
import type { RecommenderDefinition } from "../../../models/definition/define.ts";
import aggregates from "../../../models/definition/examples/aggregates.ts";
import type { LateRun } from "../../../workers/joiner/late-slates.ts";
import { FaultyFileSystem } from "../../../workers/stores/faulty-file-system.ts";
import { aggregateTables, rowTables } from "../../../workers/window-partials.ts";
import { Differences } from "../differences.ts";
import { SimulatedClients } from "./clients.ts";
import { Invariants } from "./invariants.ts";
import { SimulationLedger } from "./ledger.ts";
import {
  dataDir,
  rolesFor,
  type SimulatedOptions,
  type SimulatedRole,
  SimulatedServer,
} from "./simulated-server.ts";
import { verifySimulation } from "./verify.ts";

export interface SimulationOptions {
  /**
   * Of five one runs the example with all aggregates, two have few rows for ids, two the feed; of
   * three one has records that come too late.
   */
  readonly seed: number;
  /** Acknowledged events after which the run ends. */
  readonly events: number;
  /** Partitions of users; with several, windows and joiner have two threads each. Default 1. */
  readonly partitions?: number;
  /** Differences that are kept as text. */
  readonly shownMax?: number;
}

export interface SimulationReport {
  readonly seed: number;
  readonly events: number;
  /** How often what happened. */
  readonly met: ReadonlyMap<string, number>;
  readonly differences: Differences;
}

const startMs = Date.UTC(2026, 0, 5, 8);
/** Chances of each step: a crash of the process, the death of one role. */
const crashChance = 0.004;
const deathChance = 0.004;
/** After a day and an hour nothing belongs to a slate any more. */
const closedMs = 25 * 3_600_000;
const damageable = ["checkpoints/windows", "checkpoints/ingest", "models"].map(
  (name) => `${dataDir}/${name}`,
);

/** What may be begun, and how often it is. */
const actors = {
  ...{ redelivery: 0.3, events: 8, slate: 3, document: 0.5, windows: 5, joiner: 2, trainer: 2 },
  ...{ checkpoint: 0.15, snapshot: 0.15, windows1: 5, joiner1: 2 },
} as const;
type Actor = keyof typeof actors;

function actorsFor(partitions: number): readonly Actor[] {
  const [windows, joiner, trainer, ...more] = rolesFor(partitions);
  return [
    ...(["events", "slate", "document"] as const),
    ...[windows!, joiner!, trainer!],
    ...(["checkpoint", "snapshot", "redelivery"] as const),
    ...more,
  ];
}

/** One run: a seed decides everything that happens. */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  return await new Simulation(options).run();
}

function withIds(kind: "hashed" | "exact"): RecommenderDefinition {
  const few = { kind, rows: 8 };
  const soon = { admission: 0, expiryDays: 1 / 24 };
  const ranking = { ...feed.ranking, userIds: few, itemIds: few };
  return { ...feed, ranking, learning: { userIds: soon, itemIds: soon } };
}

function definitionOf(seed: number): RecommenderDefinition {
  switch (seed % 5) {
    case 0:
      return aggregates;
    case 1:
      return withIds("exact");
    case 3:
      return withIds("hashed");
    default:
      return feed;
  }
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #random: Random;
  readonly #disk: FaultyFileSystem;
  /** Native code writes there: on the real disk, and scratch, so what a crash leaves is nothing. */
  readonly #rowFilesIn = mkdtempSync(join(tmpdir(), "recmaster-rows-"));
  readonly #clock = new ManualClock(startMs);
  readonly #ledger = new SimulationLedger();
  readonly #clients: SimulatedClients;
  readonly #differences: Differences;
  readonly #settings: Pick<
    SimulatedOptions,
    | "definition"
    | "publishEvery"
    | "emitAfterMs"
    | "segmentBytes"
    | "durability"
    | "partitions"
    | "lingerMsMax"
    | "logged"
  >;
  readonly #running = new Map<Actor, Promise<void>>();
  readonly #roles: readonly SimulatedRole[];
  readonly #actors: readonly Actor[];
  #lives = 0;
  #accepted = 0;

  constructor(options: SimulationOptions) {
    const random = new Random(options.seed);
    const { partitions = 1 } = options;
    this.#options = options;
    this.#roles = rolesFor(partitions);
    this.#actors = actorsFor(partitions);
    this.#random = random;
    this.#disk = new FaultyFileSystem(random.fork());
    this.#clients = new SimulatedClients(random.fork(), this.#ledger);
    this.#differences = new Differences(options.shownMax ?? 10);
    this.#settings = {
      definition: definitionOf(options.seed),
      partitions,
      publishEvery: 10 + random.int(90),
      emitAfterMs: 1_000 + random.int(150_000),
      segmentBytes: 1 << (12 + random.int(10)),
      // Then a power loss may take what was acknowledged, a kill may not.
      durability: random.int(5) === 0 ? "async" : "fsync",
      // What names no slate is decided after ten seconds; what names one waits for thirty.
      lingerMsMax: options.seed % 3 === 0 ? 20_000 : 5_000,
      logged: (partition, offset) => {
        this.#ledger.loggedMs.set(`${partition}/${offset}`, this.#clock.nowMs());
      },
    };
  }

  async run(): Promise<SimulationReport> {
    const { seed, events } = this.#options;
    try {
      let server = await this.#start();
      while (this.#accepted < events && this.#differences.total === 0) {
        server = await this.#live(server);
      }
      await this.#finish(server);
    } finally {
      rmSync(this.#rowFilesIn, { recursive: true });
    }
    return { seed, events: this.#accepted, met: this.#ledger.met, differences: this.#differences };
  }

  /** One life of the process: until it crashes, or enough has been sent. */
  async #live(server: SimulatedServer): Promise<SimulatedServer> {
    const random = this.#random;
    const invariants = new Invariants((text) => this.#differences.add(text));
    while (this.#accepted < this.#options.events) {
      this.#clock.advanceTo(this.#clock.nowMs() + random.exponential(150));
      this.#begin(server, this.#pick());
      for (let turns = random.int(4); turns > 0; turns--) await null;
      invariants.check(server);
      if (random.next() < deathChance) await this.#killRole(server, this.#anyRole());
      for (const role of this.#roles) {
        // In the middle of a step most of all.
        const chance = this.#running.has(role) ? deathChance : 0;
        if (random.next() < chance) await this.#killRole(server, role);
      }
      for (const role of this.#roles) if (server[role] === null) await this.#revive(server, role);
      if (random.next() < crashChance) return await this.#crash(server);
    }
    return server;
  }

  #pick(): Actor {
    let at = this.#random.next() * this.#actors.reduce((sum, name) => sum + actors[name], 0);
    for (const name of this.#actors) {
      at -= actors[name];
      if (at < 0) return name;
    }
    return "events";
  }

  /** Begins what an actor does next, unless it is still at it. */
  #begin(server: SimulatedServer, actor: Actor): void {
    if (this.#running.has(actor)) return;
    const running = this.#act(server, actor)
      .catch((error) => this.#failed(actor, error))
      .finally(() => this.#running.delete(actor));
    this.#running.set(actor, running);
  }

  async #act(server: SimulatedServer, actor: Actor): Promise<void> {
    const { trainer } = server;
    if (actor === "events") this.#accepted += await this.#clients.sendEvents(server);
    else if (actor === "slate") await this.#clients.askSlate(server);
    else if (actor === "document") await this.#clients.putDocument(server);
    else if (actor === "redelivery") await this.#clients.deliverAgain(server);
    else if (actor === "checkpoint") await this.#checkpoint(server);
    else if (actor === "snapshot") trainer?.snapshot();
    else await server[actor]?.step();
  }

  async #checkpoint({ windows, windows1, ingest }: SimulatedServer): Promise<void> {
    if (this.#random.int(2) === 0) {
      await windows?.checkpoint();
      await windows1?.checkpoint();
    } else await ingest.checkpoint();
  }

  /** A refused operation is tried again later; anything else is a fault of the product. */
  #failed(actor: Actor, error: unknown): void {
    if (error instanceof RecError) this.#ledger.meet(`${actor}: ${error.code}`);
    else this.#differences.add(`${actor}: ${stackOf(error)}`);
  }

  #anyRole(): SimulatedRole {
    return this.#roles[this.#random.int(this.#roles.length)]!;
  }

  async #killRole(server: SimulatedServer, role: SimulatedRole): Promise<void> {
    if (server[role] === null) return;
    this.#ledger.meet(`deaths of ${role}`);
    const others = role.startsWith("windows") ? this.#running.get("checkpoint") : undefined;
    await server.killRole(role, [this.#running.get(role), others]);
  }

  async #revive(server: SimulatedServer, role: SimulatedRole): Promise<void> {
    try {
      await server.startRole(role);
    } catch (error) {
      if (!(error instanceof RecError)) throw error;
      this.#ledger.meet(`${role} did not start: ${error.code}`);
      await server.killRole(role, []);
    }
  }

  async #crash(server: SimulatedServer): Promise<SimulatedServer> {
    const power = this.#settings.durability === "fsync" && this.#random.int(2) === 0;
    this.#ledger.meet(power ? "power losses" : "kills");
    if (power) this.#disk.losePower();
    else this.#disk.killProgram();
    this.#noteRows(server);
    await server.abandon([...this.#running.values()]);
    return await this.#start();
  }

  #noteRows({ state }: SimulatedServer): void {
    const { partials, recent, seen } = state;
    const tables = { counters: partials.flatMap(rowTables), sequences: [recent, seen] };
    const all = { ...tables, aggregates: partials.flatMap(aggregateTables) };
    for (const [what, of] of Object.entries(all)) {
      for (const { usage } of of) {
        this.#ledger.meet(`rows of ${what} moved out`, usage.movedOut);
        this.#ledger.meet(`rows of ${what} brought back`, usage.broughtBack);
        if (usage.evicted > 0) this.#differences.add(`${usage.evicted} rows of ${what} were lost`);
      }
    }
  }

  /** Starts on what is left, again and again where the disk refuses. */
  async #start(): Promise<SimulatedServer> {
    const random = this.#random;
    if (random.int(3) === 0) this.#damage();
    for (let tries = 0; ; tries++) {
      const rate = tries > 3 ? 0 : [0, 0.001, 0.01][random.int(3)]!;
      this.#disk.rates = { tornWrite: rate, fullDisk: rate, failedSync: rate };
      try {
        return await SimulatedServer.open({
          ...{ disk: this.#disk, clock: this.#clock, seed: this.#options.seed + this.#lives++ },
          rowFilesIn: this.#rowFilesIn,
          ...this.#settings,
          warn: (text) => this.#ledger.meet(`warned: ${text.replaceAll(/[0-9]+/g, "N")}`),
          differ: (text) => this.#differences.add(text),
        });
      } catch (error) {
        if (!(error instanceof RecError) || tries > 10) throw error;
        this.#ledger.meet(`starts refused: ${error.code}`);
        this.#disk.killProgram();
      }
    }
  }

  /** Turns a bit of a checkpoint, a snapshot or a manifest: one copy of it at most. */
  #damage(): void {
    const random = this.#random;
    const directory = damageable[random.int(damageable.length)]!;
    const names = this.#disk.list(directory);
    const name = names[random.int(names.length)];
    if (name === undefined) return;
    const path = `${directory}/${name}`;
    const file = this.#disk.open(path, "read");
    const size = file.size();
    if (size > 0) this.#disk.flipBit(path, random.int(size), random.int(8));
    this.#ledger.meet("bits turned");
  }

  /** A last crash on a disk that works from then on; everything is taken in, and held to. */
  async #finish(last: SimulatedServer): Promise<void> {
    this.#disk.rates = {};
    await Promise.allSettled(this.#running.values());
    this.#disk.killProgram();
    this.#noteRows(last);
    await last.abandon([]);
    const server = await SimulatedServer.open({
      ...{ disk: this.#disk, clock: this.#clock, seed: this.#options.seed, ...this.#settings },
      ...{ rowFilesIn: this.#rowFilesIn, warn: () => {}, differ: () => {} },
    });
    try {
      await settle(server);
      const late = lateSlates(server);
      this.#clock.advanceTo(this.#clock.nowMs() + closedMs);
      await settle(server);
      await verifySimulation({ server, late }, this.#ledger, (text) => this.#differences.add(text));
    } finally {
      await server.close();
    }
  }
}

/** Those of all joiners, which forget them when nothing belongs to them any more. */
function lateSlates({ joiner, joiner1 }: SimulatedServer): LateRun[] {
  const roles = [joiner, joiner1].flatMap((share) => share?.roles ?? []);
  return roles.flatMap(({ core }) => core.unnamed.late.save());
}

/** Every role takes in all that there is. */
async function settle(server: SimulatedServer): Promise<void> {
  const { windows, windows1, joiner, joiner1, trainer } = server;
  for (const share of [windows, windows1]) {
    while (share?.caughtUp === false) await share.step();
  }
  for (const share of [joiner, joiner1]) {
    while (((await share?.step()) ?? 0) > 0);
    // Samples of the step before may have let out more.
    await share?.step();
  }
  while (((await trainer?.step()) ?? 0) > 0);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
}

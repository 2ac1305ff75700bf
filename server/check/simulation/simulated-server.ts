import { assert } from "../../../models/core/assert.ts";
import type { ManualClock } from "../../../models/core/clock.ts";
import { Random } from "../../../models/core/random.ts";
import type { RecommenderDefinition } from "../../../models/definition/define.ts";
import { rankerShapeOf } from "../../../models/ranking/definition-shape.ts";
import { createRanker } from "../../../models/ranking/ranker.ts";
import { GenerationHolder } from "../../../models/recall/generation.ts";
import { makeJoinerRole } from "../../../workers/joiner/make.ts";
import type { JoinerRole } from "../../../workers/joiner/worker.ts";
import { createRankingEngine } from "../../../workers/ranking/build.ts";
import { partitionsOf } from "../../../workers/role-messages.ts";
import { createSharedState, type SharedState } from "../../../workers/shared-state.ts";
import type { Topic } from "../../../workers/stores/event-log.ts";
import type { FaultyFileSystem } from "../../../workers/stores/faulty-file-system.ts";
import {
  type LogRetention,
  openCheckpoints,
  openDocumentStore,
  openEventLog,
} from "../../../workers/stores/open.ts";
import { openSamples } from "../../../workers/trainer/interleaved-samples.ts";
import { makeTrainerRole } from "../../../workers/trainer/make.ts";
import { makeWindowsRole } from "../../../workers/windows/make.ts";
import type { WindowsRole } from "../../../workers/windows/worker.ts";
import { topicsFor } from "../../assembly/storage.ts";
import { createIngest } from "../../ingest/create-ingest.ts";
import { letGoOfUnread } from "../../log-retention.ts";
import { MortalFiles } from "./mortal-files.ts";
import { rescorer } from "./rescore.ts";
import { JoinerShare, WindowsShare } from "./share.ts";

type SegmentLog = ReturnType<typeof openEventLog>;

export const dataDir = "data";

/** Small, so that a life begins at once. */
const capacities = {
  ...{ usersMax: 4_096, itemsMax: 4_096, categoriesMax: 64, userCategoryPairsMax: 1 << 16 },
  ...{ seenItemsPerUser: 16, readersMax: 4 },
} as const;
/** Far fewer than there are: rows leave memory and come back all the time. */
const crowded = {
  ...{ paneFullRowsMax: 4, paneFiledRowsMax: 16_384 },
  ...{ rowsInMemoryMax: 4, filedRowsMax: 16_384 },
} as const;
const dedupIdsMax = 200_000;
const joinerRowsMax = 100_000;

/** Threads; of several partitions of users the second ones of a role own every other. */
const threads = ["windows", "joiner", "trainer", "windows1", "joiner1"] as const;
export type SimulatedRole = (typeof threads)[number];

export function rolesFor(partitions: number): readonly SimulatedRole[] {
  return partitions === 1 ? threads.slice(0, 3) : threads;
}

/** Partitions of users that a thread owns. */
function ownedBy(name: SimulatedRole, partitions: number): number[] {
  const workers = Math.min(2, partitions);
  return partitionsOf({ worker: name.endsWith("1") ? 1 : 0, workers }, partitions);
}

export interface SimulatedOptions {
  readonly definition: RecommenderDefinition;
  readonly disk: FaultyFileSystem;
  readonly clock: ManualClock;
  readonly seed: number;
  readonly segmentBytes: number;
  readonly publishEvery: number;
  readonly emitAfterMs: number;
  readonly durability: "fsync" | "async";
  /** Of users. Default 1. */
  readonly partitions?: number;
  /** Where rows go that leave memory, which has room for a few. Default: it has room for all. */
  readonly rowFilesIn?: string;
  /** Default: keeps everything. */
  readonly retention?: LogRetention;
  /** How long a slate's record may linger on its way to the log. Default: a few seconds. */
  readonly lingerMsMax?: number;
  /** Told of a slate's record that is in the log. */
  readonly logged?: (partition: number, offset: number) => void;
  readonly warn: (text: string) => void;
  /** Told of an answer that breaks an invariant. */
  readonly differ: (text: string) => void;
}

/**
 * As in a server, an answer does not wait for its record, which lingers a while: what follows the
 * answer may be in the log before it. Looks at each record on its way.
 */
class ServedWriter {
  readonly #log: SegmentLog;
  readonly #options: SimulatedOptions;
  readonly #random: Random;
  readonly #look: (record: Uint8Array) => void;
  readonly #running = new Set<Promise<unknown>>();

  constructor(log: SegmentLog, options: SimulatedOptions, look: (record: Uint8Array) => void) {
    this.#log = log;
    this.#options = options;
    this.#random = new Random(options.seed + 1);
    this.#look = look;
  }

  async append(...given: Parameters<SegmentLog["append"]>): Promise<number> {
    const [record] = given[2];
    assert(record !== undefined, "a slate is a record");
    this.#look(record);
    const appended = this.#linger()
      .then(() => this.#log.append(...given))
      .then((offset) => this.#options.logged?.(given[1], offset))
      .catch(() => undefined);
    this.#running.add(appended);
    void appended.then(() => this.#running.delete(appended));
    return await Promise.resolve(-1);
  }

  async #linger(): Promise<void> {
    const { clock, lingerMsMax = 5_000 } = this.#options;
    // Now and then for seconds, as behind a disk that fails.
    const most = this.#random.int(8) === 0 ? lingerMsMax / 10 : 60;
    const untilMs = clock.nowMs() + lingerMsMax;
    let turns = this.#random.int(most);
    while (turns-- > 0 && clock.nowMs() < untilMs) await null;
  }

  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }
}

/** Memory that all threads share, of a size for a simulation. */
export function smallState(
  definition: RecommenderDefinition,
  partitions = 1,
  rowFilesIn: string | null = null,
): SharedState {
  const modelFloats = createRanker(rankerShapeOf(definition)).slotFloats;
  return createSharedState(definition, {
    ...{ dataDir: null, rowFilesIn, modelFloats, partitions },
    limits: { ...capacities, ...(rowFilesIn === null ? {} : crowded) },
  });
}

/**
 * A server process as its threads see it: the main thread (ingest), a ranking thread and the three
 * roles, each with a log and files of its own over one disk and one shared memory. Everything runs
 * on this thread; a kill ends what a thread had begun.
 */
export class SimulatedServer {
  readonly state: SharedState;
  readonly options: SimulatedOptions;
  /** Of users. */
  readonly partitions: number;
  readonly #files: MortalFiles;
  readonly #logs: SegmentLog[] = [];
  readonly log: SegmentLog;
  readonly ingest: ReturnType<typeof createIngest>;
  readonly engine: ReturnType<typeof createRankingEngine>;
  readonly #served: ServedWriter;
  readonly #threads = new Map<SimulatedRole, MortalFiles>();
  /** Synced now and then in a server; here it is made from the log at each start. */
  readonly store = openDocumentStore({ dataDir: null });
  windows: WindowsShare | null = null;
  windows1: WindowsShare | null = null;
  joiner: JoinerShare | null = null;
  joiner1: JoinerShare | null = null;
  trainer: Awaited<ReturnType<typeof makeTrainerRole>> | null = null;

  private constructor(options: SimulatedOptions) {
    const { clock, seed, definition } = options;
    this.options = options;
    this.partitions = options.partitions ?? 1;
    this.state = smallState(definition, this.partitions, options.rowFilesIn);
    this.#files = new MortalFiles(options.disk);
    this.log = this.#openLog(this.#files);
    letGoOfUnread(this.log);
    const { state, log } = this;
    const store = this.store;
    const checkpoints = openCheckpoints("ingest", {
      ...{ dataDir, definitionHash: "ingest", clock, report: options.warn, files: this.#files },
    });
    this.ingest = createIngest({
      ...{ definition, state, log, store, clock, dedupIdsMax, checkpoints },
      report: options.warn,
    });
    const served = this.#openLog(this.#files, log.control);
    const rescore = rescorer(definition, state);
    this.#served = new ServedWriter(served, options, (record) => {
      const wrong = rescore(record);
      if (wrong !== "") options.differ(wrong);
    });
    this.engine = createRankingEngine({
      ...{ definition, state, clock, generations: new GenerationHolder(0), documents: store },
      log: this.#served,
      ...{ random: new Random(seed), timer: null, readers: [0, 1] },
    });
  }

  /** Throws what a start throws; the caller then crashes it. */
  static async open(options: SimulatedOptions): Promise<SimulatedServer> {
    const server = new SimulatedServer(options);
    try {
      await server.ingest.restore();
      for (const role of server.roleNames) await server.startRole(role);
      return server;
    } catch (error) {
      await server.abandon([]);
      throw error;
    }
  }

  get roleNames(): readonly SimulatedRole[] {
    return rolesFor(this.partitions);
  }

  #openLog(files: MortalFiles, control?: SharedArrayBuffer): SegmentLog {
    const { clock, segmentBytes, durability, warn, retention = {} } = this.options;
    const topics = topicsFor(this.partitions);
    const log = openEventLog("embedded:", {
      ...{ dataDir, topics, fileSystem: files, clock, segmentBytes, lingerMs: 0, report: warn },
      ...{ durability, retention },
      ...(control === undefined ? {} : { control }),
    });
    this.#logs.push(log);
    return log;
  }

  async startRole(name: SimulatedRole): Promise<void> {
    const { clock, warn, publishEvery, definition } = this.options;
    const files = new MortalFiles(this.options.disk);
    const log = this.#openLog(files, this.log.control);
    const common = { definition, state: this.state, log, dataDir, clock, warn, files };
    this.#threads.set(name, files);
    if (name === "trainer") {
      const samples = await openSamples(log);
      const options = { ...common, log: samples, publishEvery, seed: 1 };
      this.trainer = await makeTrainerRole(options);
      return;
    }
    const own = ownedBy(name, this.partitions);
    if (name === "joiner" || name === "joiner1") this[name] = await this.#openJoiner(log, own);
    else {
      const roles: WindowsRole[] = [];
      for (const partition of own) roles.push(await makeWindowsRole({ ...common, partition }));
      this[name] = new WindowsShare(roles);
    }
  }

  async #openJoiner(log: SegmentLog, own: readonly number[]): Promise<JoinerShare> {
    const { clock, emitAfterMs, definition } = this.options;
    const bounds = { emitAfterMs, dedupIdsMax, rowsMax: joinerRowsMax };
    const roles: JoinerRole[] = [];
    for (const partition of own) {
      roles.push(await makeJoinerRole({ definition, clock, log, partition, ...bounds }));
    }
    return new JoinerShare(roles);
  }

  /** Ends a role's thread; `running` is what it had begun. */
  async killRole(
    name: SimulatedRole,
    running: readonly (Promise<unknown> | undefined)[],
  ): Promise<void> {
    this.#threads.get(name)?.kill();
    this[name] = null;
    await Promise.allSettled(running);
    for (const [topic, partition] of this.#writtenBy(name)) {
      this.log.releaseWriter(topic, partition);
    }
  }

  #writtenBy(name: SimulatedRole): (readonly [Topic, number])[] {
    const { partitions } = this;
    if (name === "trainer") return partitions === 1 ? [] : [["commits", partitions]];
    const topics: Topic[] = name.startsWith("windows") ? ["commits", "late"] : ["samples"];
    const own = ownedBy(name, partitions);
    return topics.flatMap((topic) => own.map((partition) => [topic, partition] as const));
  }

  /** Every thread ends where it stands; `running` is what they had begun. */
  async abandon(running: readonly Promise<unknown>[]): Promise<void> {
    this.#files.kill();
    for (const files of this.#threads.values()) files.kill();
    await Promise.allSettled(running);
    await this.ingest.settle();
    await this.#served.settle();
    this.store.close();
    this.state.release();
  }

  /** Flushes and closes all logs, as a stop does. */
  async close(): Promise<void> {
    await this.ingest.settle();
    await this.#served.settle();
    await this.windows?.close();
    await this.windows1?.close();
    this.trainer?.close();
    for (const log of this.#logs) await log.close();
    this.store.close();
    this.state.release();
  }
}

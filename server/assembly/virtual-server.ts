import { assert } from "../../models/core/assert.ts";
import type { Id128 } from "../../models/core/bytes.ts";
import type { Clock } from "../../models/core/clock.ts";
import { Random } from "../../models/core/random.ts";
import { Fault } from "../../models/core/schema.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { rankerShapeOf } from "../../models/ranking/definition-shape.ts";
import { createRanker } from "../../models/ranking/ranker.ts";
import { GenerationHolder } from "../../models/recall/generation.ts";
import { InteractionWeights } from "../../models/recall/interaction-weights.ts";
import type { HeadMetrics } from "../../models/training/progressive.ts";
import { decodeSample, encodeSample, type Sample } from "../../models/training/sample.ts";
import { GraphIndex } from "../../native/index.ts";
import { makeJoinerRole } from "../../workers/joiner/make.ts";
import type { JoinerRole } from "../../workers/joiner/worker.ts";
import { counterNames } from "../../workers/metrics.ts";
import { createRankingEngine } from "../../workers/ranking/build.ts";
import type { RankingEngine } from "../../workers/ranking/engine.ts";
import { sharedItemCatalog } from "../../workers/recall/item-catalog.ts";
import { RecallRole } from "../../workers/recall/worker.ts";
import {
  createSharedState,
  type SharedCapacities,
  type SharedState,
} from "../../workers/shared-state.ts";
import type {
  ClientEvent,
  ItemDocument,
  RecommendAnswer,
  RecommenderUnderTest,
  RecommendRequest,
} from "../../workers/simulator/port.ts";
import { recordOf, type TailedLog } from "../../workers/stores/event-log.ts";
import { memoryFileSystem } from "../../workers/stores/memory-file-system.ts";
import { openDocumentStore, openEventLog } from "../../workers/stores/open.ts";
import { openSamples } from "../../workers/trainer/interleaved-samples.ts";
import { makeTrainerRole } from "../../workers/trainer/make.ts";
import type { SampleLog, TrainerRole } from "../../workers/trainer/worker.ts";
import { windowsOver } from "../../workers/windows/make.ts";
import { WindowsRole } from "../../workers/windows/worker.ts";
import type { DoorPorts } from "../http/ports.ts";
import { createIngest, type IngestAssembly } from "../ingest/create-ingest.ts";
import { itemBatch } from "../ingest/document-schemas.ts";
import { topicsFor } from "./storage.ts";
import { virtualPorts } from "./virtual-ports.ts";

export interface VirtualServerOptions {
  readonly definition: RecommenderDefinition;
  readonly clock: Clock;
  readonly seed: number;
  /** Samples of a batch, and of a model version. */
  readonly publishEvery?: number;
  /** Holds model snapshots under `models/`. Default: none are kept. */
  readonly modelsIn?: string;
  /** Room for more than a simulated world has. */
  readonly capacities?: Partial<SharedCapacities>;
  /** Virtual milliseconds between two turns of recall; Infinity: never. */
  readonly recallEveryMs?: number;
  /** Default: yes; no to see what the guard is for. */
  readonly guarded?: boolean;
  /** Time of samples until the guard judges labels; default: an hour. */
  readonly matureMs?: number;
  /** What the trainer reads in place of the joiner's samples: faults of what makes them. */
  readonly samplesThrough?: (sample: Sample, offset: number) => Sample;
  readonly warn?: (text: string) => void;
  /** Drops nothing of the log: for a check of all that was served. */
  readonly keepsLog?: boolean;
  /** Partitions of users, each with a windows role of its own. Default 1. */
  readonly partitions?: number;
}

/** Room for a simulated world: address space is cheap, but a seed must not cost gigabytes of it. */
const capacities = {
  usersMax: 65_536,
  itemsMax: 65_536,
  categoriesMax: 1_024,
  userCategoryPairsMax: 1 << 20,
} as const;
/** The log lives in memory: what every role has long read goes. */
const retention = { ageMsMax: 20 * 60_000 } as const;
const retentions = {
  ...{ events: retention, served: retention, samples: retention, items: retention },
  commits: retention,
} as const;
const segmentBytes = 4 << 20;
/** Slates' rows that wait for late conversions, and ids that are known again. */
const joinerRowsMax = 300_000;
const dedupIdsMax = 400_000;
/** How often each role gets its turn, virtual milliseconds. Windows: whenever time moves. */
const everyMs = { joiner: 1_000, recall: 20_000 };
/** Steps of a role in one turn: more than a turn's records need. */
const stepsMax = 64;
/** The model reader and graph holder of the one ranking engine. */
const reader = 0;

interface Roles {
  /** By partition. */
  readonly windows: readonly WindowsRole[];
  readonly joiners: readonly JoinerRole[];
  readonly trainer: TrainerRole;
  readonly recall: RecallRole;
}

interface Parts extends Roles {
  readonly clock: Clock;
  readonly recallEveryMs: number;
  readonly engine: RankingEngine;
  readonly ingest: IngestAssembly;
  readonly log: TailedLog;
  readonly state: SharedState;
  readonly random: Random;
  readonly progressive: () => HeadMetrics[];
  readonly closeStore: () => void;
}

/**
 * A whole server on the calling thread, under a clock that the caller moves: the ranking pipeline,
 * ingest, windows, joiner, trainer and recall as they run in their threads, over memory alone.
 * Nothing happens but in a call, so a run is a function of its seed and its calls.
 */
export class VirtualServer implements RecommenderUnderTest {
  readonly #parts: Parts;
  #weightsFrozen = false;
  #windowsFrozen = false;
  #joinerDueMs: number;
  #recallDueMs: number;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.#joinerDueMs = parts.clock.nowMs() + everyMs.joiner;
    this.#recallDueMs = parts.clock.nowMs() + parts.recallEveryMs;
  }

  static async open(options: VirtualServerOptions): Promise<VirtualServer> {
    return new VirtualServer(await openParts(options));
  }

  async recommend(request: RecommendRequest): Promise<RecommendAnswer> {
    const { engine, random } = this.#parts;
    const { user, n } = request;
    return await engine.recommend({
      ...{ requestId: requestIdFrom(random), user, n, recent: [], context: {}, exclude: [] },
      ...{ categories: [], weights: null, details: false, explain: false },
    });
  }

  async events(batch: readonly ClientEvent[]): Promise<void> {
    const elements = batch.map((value) => ({ value }));
    const { rejected } = await this.#parts.ingest.events.ingest(elements, null);
    assert(rejected.length === 0, `a simulated event was refused: ${rejected[0]?.message}`);
  }

  async items(batch: readonly ItemDocument[]): Promise<void> {
    const read = itemBatch.read(batch);
    assert(!(read instanceof Fault), "a simulated document was refused");
    const puts = read.map(({ id, ...document }) => ({ id, document }));
    await this.#parts.ingest.documents.put("item", puts);
  }

  /** Gives each role the turns that are due by then. The clock stands there already. */
  async advanceTo(timeMs: number): Promise<void> {
    const { windows, joiners, trainer, recall, recallEveryMs } = this.#parts;
    if (!this.#windowsFrozen) for (const role of windows) await catchUp(role);
    if (timeMs >= this.#joinerDueMs) {
      this.#joinerDueMs = timeMs + everyMs.joiner;
      if (!this.#weightsFrozen) {
        for (const role of joiners) await catchUp(role);
        await catchUp(trainer);
      }
    }
    if (timeMs >= this.#recallDueMs) {
      this.#recallDueMs = timeMs + recallEveryMs;
      if (!this.#windowsFrozen) await catchUp(recall);
    }
  }

  /** From now on nothing is joined or trained: the model stays as it is. */
  freezeWeights(): void {
    this.#weightsFrozen = true;
  }

  /** From now on counters, recent interactions, trends and the recall index stay as they are. */
  freezeWindows(): void {
    this.#windowsFrozen = true;
  }

  /** Per head, over the latest samples before they were learned. */
  progressive(): HeadMetrics[] {
    return this.#parts.progressive();
  }

  /** What a door hands requests to: over it the server is asked like any other. */
  ports(): DoorPorts {
    return virtualPorts(this.#parts);
  }

  /** Ids in the order of their rows. */
  ids(): { readonly users: readonly string[]; readonly items: readonly string[] } {
    const { users, items } = this.#parts.state;
    const ids = (table: { size: number; id(row: number): string }) =>
      Array.from({ length: table.size }, (_, row) => table.id(row));
    return { users: ids(users), items: ids(items) };
  }

  /** The version that answers now, and how often one went live. */
  published(): { version: number; swaps: number } {
    const { slots, metrics } = this.#parts.state;
    const swaps = metrics.read().counters[counterNames.indexOf("rec_model_swaps_total")] ?? 0;
    return { version: slots.current().version, swaps };
  }

  /** What the roles read and write. */
  get log(): TailedLog {
    return this.#parts.log;
  }

  async close(): Promise<void> {
    const { recall, log, state, ingest, closeStore } = this.#parts;
    await ingest.settle();
    await recall.close();
    GraphIndex.clearHolder(reader);
    await log.close();
    closeStore();
    state.release();
  }
}

/** A step takes in one stretch of the log; as in its thread, a role goes on until there is none. */
async function catchUp(role: { step(): Promise<number> }): Promise<void> {
  for (let steps = 0; steps < stepsMax && (await role.step()) > 0; steps++);
}

function requestIdFrom(random: Random): Id128 {
  const word = () => random.int(0x1_0000_0000);
  return [word(), word(), word(), (word() | 1) >>> 0];
}

async function openParts(options: VirtualServerOptions): Promise<Parts> {
  const { definition, clock, seed, recallEveryMs = everyMs.recall } = options;
  const { partitions = 1 } = options;
  const topics = topicsFor(partitions);
  const log = openEventLog("embedded:", {
    ...{ dataDir: "/virtual", topics, durability: "async", clock, segmentBytes },
    ...{ fileSystem: memoryFileSystem(), lingerMs: 0 },
    retention: options.keepsLog ? {} : retentions,
  });
  const modelFloats = createRanker(rankerShapeOf(definition)).slotFloats;
  const limits = { ...capacities, ...options.capacities };
  const state = createSharedState(definition, {
    ...{ dataDir: null, modelFloats, limits, partitions },
  });
  const store = openDocumentStore({ dataDir: null });
  const ingest = createIngest({ definition, state, log, store, clock });
  const generations = new GenerationHolder(reader);
  const engine = createRankingEngine({
    ...{ definition, state, generations, log, documents: store, clock },
    ...{ random: new Random(seed + 1), timer: null, readers: [reader] },
  });
  const roles = await openRoles(options, { state, log, generations });
  const closeStore = () => store.close();
  const random = new Random(seed + 2);
  return { clock, recallEveryMs, engine, ingest, log, state, random, closeStore, ...roles };
}

interface Stores {
  readonly state: SharedState;
  readonly log: TailedLog;
  readonly generations: GenerationHolder;
}

async function openRoles(options: VirtualServerOptions, stores: Stores) {
  const { definition, clock, seed, publishEvery = 100, warn = () => {} } = options;
  const { state, log, generations } = stores;
  const joiners: JoinerRole[] = [];
  for (const partition of state.partials.keys()) {
    const bounds = { rowsMax: joinerRowsMax, dedupIdsMax };
    joiners.push(await makeJoinerRole({ definition, clock, log, partition, ...bounds }));
  }
  const { guarded = true, matureMs, samplesThrough } = options;
  const taken = await openSamples(log);
  const samples = samplesThrough === undefined ? taken : changed(taken, samplesThrough);
  const trainer = await makeTrainerRole({
    ...{ definition, state, guarded, log: samples, publishEvery, seed, warn, clock },
    dataDir: options.modelsIn ?? null,
    ...(matureMs === undefined ? {} : { matureMs }),
  });
  return {
    windows: await openWindows(options, stores),
    joiners,
    trainer,
    progressive: () => trainer.metrics(),
    recall: await RecallRole.open({
      ...{ log, clock, warn, checkpoints: null, metrics: state.metrics, rebuildAtOnce: true },
      weights: new InteractionWeights(definition.interactions),
      core: { items: sharedItemCatalog(state), seed },
      publish: (generation) => generations.adopt(generation),
    }),
  };
}

/** The log with each sample changed on its way to the trainer. */
function changed(log: SampleLog, change: (sample: Sample, offset: number) => Sample): SampleLog {
  return {
    startOffset: (topic, partition) => log.startOffset(topic, partition),
    endOffset: (topic, partition) => log.endOffset(topic, partition),
    letGo: (reader, points) => log.letGo(reader, points),
    waitForMore: (...args) => log.waitForMore(...args),
    async read(topic, partition, offset, maxBytes) {
      const batch = await log.read(topic, partition, offset, maxBytes);
      const records = Array.from({ length: batch.count }, (_, i) =>
        encodeSample(change(decodeSample(recordOf(batch, i)), offset + i)),
      );
      const bounds = new Uint32Array(batch.count + 1);
      for (const [i, { length }] of records.entries()) bounds[i + 1] = bounds[i]! + length;
      return { ...batch, data: new Uint8Array(Buffer.concat(records)), bounds };
    },
  };
}

async function openWindows(
  { definition, clock }: VirtualServerOptions,
  { state, log }: Stores,
): Promise<WindowsRole[]> {
  const roles: WindowsRole[] = [];
  for (const partition of state.partials.keys()) {
    const made = windowsOver({ definition, state, log, dedupIdsMax }, partition);
    const role = { ...made, log, clock, partition, checkpoints: null };
    roles.push(await WindowsRole.open(role));
  }
  return roles;
}

import { basename } from "node:path";
import { utf8 } from "../../models/core/bytes.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import type { HeadMetrics } from "../../models/training/progressive.ts";
import { keepHeap } from "../../workers/heap-keeper.ts";
import { loadDefinition } from "../../workers/load-definition.ts";
import { until } from "../../workers/loop.ts";
import {
  checkEngine,
  embeddingsFault,
  type RankEngine,
} from "../../workers/ranking/open-ranker.ts";
import type { RankingPool } from "../../workers/ranking/pool.ts";
import { startRankingPool } from "../../workers/ranking/start.ts";
import type { RankingWork } from "../../workers/ranking/work.ts";
import { recordsIn } from "../../workers/stores/read-all.ts";
import type { Supervisor } from "../../workers/supervisor.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { keepEngineThreadsLow } from "../../workers/thread-priority.ts";
import type { Config } from "../config.ts";
import { App } from "../http/app.ts";
import { Gate } from "../http/auth.ts";
import type { DocumentKindName, Documents, DoorPorts, Models } from "../http/ports.ts";
import { type Door, serve } from "../http/serve.ts";
import type { Log } from "../log.ts";
import { exposition, type Gauges, logPositions, statusFigures } from "./figures.ts";
import { RecentQuantiles } from "./recent-quantiles.ts";
import { requireShares, startRoles, stopRoles } from "./roles.ts";
import { openStorage, type Storage } from "./storage.ts";
import { releaseWriters, writtenByRanking } from "./writers.ts";

/** A whole server in this process: storage, threads, door. */
export interface RunningServer {
  readonly url: string;
  readonly port: number;
  readonly storage: Storage;
  /** Resolves once every role has caught up and every ranking thread is warm. */
  ready(timeoutMs: number): Promise<void>;
  /** Answers what is under way, saves all state; true where nothing had to be cut off. */
  stop(): Promise<boolean>;
}

const readyMsMax = 600_000;
const stopMsMax = 20_000;

/** Everything behind the door, gathered so that ports can be made from it. */
interface Parts {
  readonly config: Config;
  readonly engine: RankEngine;
  readonly storage: Storage;
  readonly pool: RankingPool<RankingWork>;
  readonly roles: Supervisor;
  /** What the background told last. */
  readonly told: { generation: number; progressive: readonly HeadMetrics[] };
}

/** Before anything else is opened: what cannot serve is refused at the start. */
async function engineOf(config: Config, definition: RecommenderDefinition, log: Log) {
  const { rankEngine, rankOnnx } = config;
  if (rankEngine === "native") return { kind: "native" } as const;
  const warn = (text: string) => log.warn(text);
  const engine = await checkEngine(rankOnnx === "" ? null : rankOnnx, { definition, warn });
  if (engine.kind !== "file") return engine;
  const { path, version } = engine;
  log.info("a model from a file serves, the trainer rests", { path, version });
  return engine;
}

function rankingWork(config: Config, storage: Storage, engine: RankEngine): RankingWork {
  return {
    engine,
    definitionPath: config.definition === "" ? null : config.definition,
    handles: storage.state.handles,
    eventLogUrl: config.eventLogUrl,
    dataDir: config.dataDir,
    topics: storage.topics,
    control: storage.log.control,
    durability: config.durability,
    logRetention: config.logRetention,
    detailsPrefetch: config.detailsPrefetch === "on",
    seed: 1,
  };
}

/** Documents through ingest; cached copies in the ranking threads are dropped. */
function documentsPort({ storage, pool }: Parts): Documents {
  const { documents } = storage.ingest;
  const changed = (kind: DocumentKindName, ids: readonly string[]) => {
    if (kind !== "item") return;
    const rows = ids.map((id) => storage.state.items.find(id)).filter((row) => row >= 0);
    pool.documentsChanged(rows);
  };
  return {
    async put(kind, puts) {
      await documents.put(kind, puts);
      changed(
        kind,
        puts.map(({ id }) => id),
      );
    },
    get: (kind, id) => documents.get(kind, id),
    async remove(kind, id) {
      const removed = await documents.remove(kind, id);
      if (removed) changed(kind, [id]);
      return removed;
    },
  };
}

/** What answers now: a version that the trainer published, or that of a file. */
function servingOf(engine: RankEngine, { state }: Storage) {
  const version = engine.kind === "file" ? engine.version : state.slots.current().version;
  return { engine: engine.kind === "native" ? "native" : "onnx", version };
}

function modelsPort({ engine, storage, roles }: Parts): Models {
  const ask = async (command: Parameters<Supervisor["command"]>[1]) => {
    const answer: Record<string, unknown> = JSON.parse(await roles.command("trainer", command));
    const file = engine.kind === "file" ? { file: basename(engine.path) } : {};
    const serving = { ...servingOf(engine, storage), ...file };
    return utf8(JSON.stringify({ serving, trains: engine.kind !== "file", ...answer }));
  };
  return {
    list: () => ask({ name: "list" }),
    promote: (version) => ask({ name: "promote", version }),
    rollback: () => ask({ name: "rollback" }),
  };
}

function gaugesOf({ engine, pool, storage, told }: Parts): Gauges {
  return {
    modelVersion: servingOf(engine, storage).version,
    trains: engine.kind !== "file",
    indexGeneration: told.generation,
    progressive: told.progressive,
    queuedRequests: pool.queueLength,
    rankWorkersReplaced: pool.replaced,
    eventLogEnd: recordsIn(storage.log, "events"),
    dedup: storage.ingest.horizon(),
    samplesEnd: recordsIn(storage.log, "samples"),
    log: logPositions(storage.log),
  };
}

function portsOf(parts: Parts): DoorPorts {
  const { storage, pool, roles } = parts;
  const { state, ingest } = storage;
  const recent = new RecentQuantiles();
  return {
    ranking: pool,
    ingest: ingest.events,
    documents: documentsPort(parts),
    models: modelsPort(parts),
    metrics: state.metrics,
    readiness() {
      const waitingFor: string[] = [...roles.notReady];
      if (!pool.ready) waitingFor.push("ranking");
      return { ready: waitingFor.length === 0, waitingFor };
    },
    exposition: () => exposition(state, gaugesOf(parts)),
    status: () => statusFigures(state, gaugesOf(parts), recent),
  };
}

/** Starts everything; the door answers `/healthz` at once and the rest as parts become ready. */
export async function startServer(config: Config, log: Log): Promise<RunningServer> {
  const definition = await loadDefinition(config.definition === "" ? null : config.definition);
  if (config.durability === "async") {
    log.warn("DURABILITY=async: a power loss may lose events that were acknowledged");
  }
  requireShares(config);
  const engine = await engineOf(config, definition, log);
  const storage = await openStorage({
    ...{ definition, clock: systemClock, warn: (text) => log.warn(text) },
    dataDir: config.dataDir,
    eventLogUrl: config.eventLogUrl,
    durability: config.durability,
    rankWorkers: config.rankWorkers,
    logPartitions: config.logPartitions,
    rowsInMemory: config.rowsInMemory,
    logRetention: config.logRetention,
  });
  const pool = startRankingPool({
    workers: config.rankWorkers,
    state: storage.state,
    work: rankingWork(config, storage, engine),
    clock: systemClock,
    releaseServed(worker) {
      releaseWriters(storage, writtenByRanking(worker, storage.topics.events), log);
    },
    onLoss: (worker, reason) => log.error("a ranking thread was replaced", { worker, reason }),
  });
  const told: Parts["told"] = { generation: 0, progressive: [] };
  const roles = startRoles({
    ...{ config, storage, log },
    onGeneration(generation) {
      told.generation = generation.generation;
      pool.publishGeneration(generation);
    },
    onProgressive(heads) {
      told.progressive = heads;
    },
  });
  const parts: Parts = { config, engine, storage, pool, roles, told };
  const ports = portsOf(parts);
  const token = config.apiToken === "" ? null : config.apiToken;
  const gate = new Gate({ token, names: config.hostNames });
  const app = new App({ definition, ports, gate, clock: systemClock, log });
  const door = serve({
    ...{ app, host: config.bindAddress, port: config.port, hasToken: token !== null },
  });
  return running({ parts, door, ports, log });
}

function running(given: { parts: Parts; door: Door; ports: DoorPorts; log: Log }): RunningServer {
  const { parts, door, ports, log } = given;
  const { storage, pool, roles } = parts;
  const leaveHeap = keepHeap((bytes) =>
    storage.state.metrics.set('rec_heap_bytes{thread="main"}', bytes),
  );
  const leaveThreads = keepEngineThreadsLow();
  return {
    url: door.url,
    port: door.port,
    storage,
    async ready(timeoutMs) {
      await until("being ready", Math.min(timeoutMs, readyMsMax), () => ports.readiness().ready);
      const fault = embeddingsFault(parts.engine, storage.state.slots.current().version);
      if (fault !== null) log.warn(fault);
    },
    async stop() {
      const clean = await door.stop();
      await pool.stop(stopMsMax);
      await storage.ingest.settle();
      await stopRoles(roles, stopMsMax);
      await storage.close();
      leaveHeap();
      leaveThreads();
      log.info("stopped", { clean });
      return clean;
    },
  };
}

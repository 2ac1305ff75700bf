import { utf8 } from "../../models/core/bytes.ts";
import type { IndexGeneration } from "../../models/recall/generation.ts";
import { loadDefinition } from "../../workers/load-definition.ts";
import { until } from "../../workers/loop.ts";
import type { RankingPool } from "../../workers/ranking/pool.ts";
import { startRankingPool } from "../../workers/ranking/start.ts";
import type { RankingWork } from "../../workers/ranking/work.ts";
import type { Supervisor } from "../../workers/supervisor.ts";
import { systemClock } from "../../workers/system-clock.ts";
import type { Config } from "../config.ts";
import { App } from "../http/app.ts";
import { Gate } from "../http/auth.ts";
import type { DocumentKindName, Documents, DoorPorts, Models } from "../http/ports.ts";
import { type Door, serve } from "../http/serve.ts";
import type { Log } from "../log.ts";
import { exposition, type Gauges, statusFigures } from "./figures.ts";
import { RecentQuantiles } from "./recent-quantiles.ts";
import { startRoles, stopRoles } from "./roles.ts";
import { openStorage, type Storage } from "./storage.ts";

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
  readonly storage: Storage;
  readonly pool: RankingPool<RankingWork>;
  readonly roles: Supervisor;
  generation: number;
}

function rankingWork(config: Config, storage: Storage): RankingWork {
  return {
    definitionPath: config.definition === "" ? null : config.definition,
    handles: storage.state.handles,
    eventLogUrl: config.eventLogUrl,
    dataDir: config.dataDir,
    topics: storage.topics,
    control: storage.log.control,
    durability: config.durability,
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

function modelsPort(roles: Supervisor): Models {
  const ask = async (command: Parameters<Supervisor["command"]>[1]) =>
    utf8(await roles.command("trainer", command));
  return {
    list: () => ask({ name: "list" }),
    promote: (version) => ask({ name: "promote", version }),
    rollback: () => ask({ name: "rollback" }),
  };
}

function gaugesOf({ pool, storage, generation }: Parts): Gauges {
  return {
    indexGeneration: generation,
    queuedRequests: pool.queueLength,
    rankWorkersReplaced: pool.replaced,
    eventLogEnd: storage.log.endOffset("events", 0),
    samplesEnd: storage.log.endOffset("samples", 0),
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
    models: modelsPort(roles),
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
  const storage = await openStorage({
    ...{ definition, clock: systemClock, warn: (text) => log.warn(text) },
    dataDir: config.dataDir,
    eventLogUrl: config.eventLogUrl,
    durability: config.durability,
    rankWorkers: config.rankWorkers,
  });
  const pool = startRankingPool({
    workers: config.rankWorkers,
    state: storage.state,
    work: rankingWork(config, storage),
    clock: systemClock,
    onLoss: (worker, reason) => log.error("a ranking thread was replaced", { worker, reason }),
  });
  let adopt: (generation: IndexGeneration) => void = () => {};
  const roles = startRoles({ config, storage, log, onGeneration: (one) => adopt(one) });
  const parts: Parts = { config, storage, pool, roles, generation: 0 };
  adopt = (generation) => {
    parts.generation = generation.generation;
    pool.publishGeneration(generation);
  };
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
  return {
    url: door.url,
    port: door.port,
    storage,
    ready: (timeoutMs) =>
      until("being ready", Math.min(timeoutMs, readyMsMax), () => ports.readiness().ready),
    async stop() {
      const clean = await door.stop();
      await pool.stop(stopMsMax);
      await storage.ingest.settle();
      await stopRoles(roles, stopMsMax);
      await storage.close();
      log.info("stopped", { clean });
      return clean;
    },
  };
}

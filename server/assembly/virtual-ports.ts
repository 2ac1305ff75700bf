import { utf8 } from "../../models/core/bytes.ts";
import type { RankingEngine } from "../../workers/ranking/engine.ts";
import type { Answer } from "../../workers/ranking/messages.ts";
import type { SharedState } from "../../workers/shared-state.ts";
import type { TailedLog } from "../../workers/stores/event-log.ts";
import { recordsIn } from "../../workers/stores/read-all.ts";
import type { TrainerRole } from "../../workers/trainer/worker.ts";
import type { DoorPorts } from "../http/ports.ts";
import type { IngestAssembly } from "../ingest/create-ingest.ts";
import { exposition, type Gauges, logPositions, statusFigures } from "./figures.ts";
import { RecentQuantiles } from "./recent-quantiles.ts";

/** The parts of a server on the calling thread. */
export interface VirtualParts {
  readonly engine: RankingEngine;
  readonly ingest: IngestAssembly;
  readonly log: TailedLog;
  readonly state: SharedState;
  readonly trainer: TrainerRole;
}

async function bytesOf(answer: Promise<Answer>): Promise<Uint8Array> {
  return utf8(JSON.stringify(await answer));
}

/** What the door asks for, with no threads in between. */
export function virtualPorts({ engine, ingest, log, state, trainer }: VirtualParts): DoorPorts {
  const recent = new RecentQuantiles();
  const gauges = (): Gauges => ({
    ...{ indexGeneration: 0, queuedRequests: 0, rankWorkersReplaced: 0, trains: true },
    modelVersion: state.slots.current().version,
    eventLogEnd: recordsIn(log, "events"),
    dedup: ingest.horizon(),
    samplesEnd: recordsIn(log, "samples"),
    log: logPositions(log),
    progressive: trainer.metrics(),
  });
  const ask = async (command: Parameters<TrainerRole["command"]>[0]) =>
    utf8(await trainer.command(command));
  return {
    ranking: {
      recommend: (request, deadlineAtMs) => bytesOf(engine.recommend(request, deadlineAtMs)),
      rank: (request, deadlineAtMs) => bytesOf(engine.rank(request, deadlineAtMs)),
      similar: (request, deadlineAtMs) => bytesOf(engine.similar(request, deadlineAtMs)),
      popular: (request, deadlineAtMs) => bytesOf(engine.popular(request, deadlineAtMs)),
    },
    ingest: ingest.events,
    documents: ingest.documents,
    models: {
      list: () => ask({ name: "list" }),
      promote: (version) => ask({ name: "promote", version }),
      rollback: () => ask({ name: "rollback" }),
    },
    metrics: state.metrics,
    readiness: () => ({ ready: true, waitingFor: [] }),
    exposition: () => exposition(state, gauges()),
    status: () => statusFigures(state, gauges(), recent),
  };
}

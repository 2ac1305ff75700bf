import type { Clock } from "../../models/core/clock.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { limits } from "../../models/limits.ts";
import type { SharedState } from "../../workers/shared-state.ts";
import type { CheckpointStore } from "../../workers/stores/checkpoint-store.ts";
import type { DocumentStore } from "../../workers/stores/document-store.ts";
import type { EventLog } from "../../workers/stores/event-log.ts";
import type { Turns } from "../turns.ts";
import { IngestCheckpoint, isBeyond } from "./checkpoint.ts";
import { Deduplicator } from "./deduplicate.ts";
import { DocumentService } from "./documents.ts";
import { EventIngest } from "./ingest.ts";
import { ItemMemory } from "./item-attributes.ts";
import { type RestoreReport, restore } from "./restore.ts";

export interface IngestParts {
  readonly definition: RecommenderDefinition;
  readonly state: SharedState;
  readonly log: EventLog;
  readonly store: DocumentStore;
  readonly clock: Clock;
  readonly categoriesMax?: number;
  readonly dedupIdsMax?: number;
  /** Default: none; a start reads the whole log. */
  readonly checkpoints?: CheckpointStore;
  /** Told what a start could not rebuild. */
  readonly report?: (message: string) => void;
  /** Given where requests are answered meanwhile. */
  readonly turns?: Turns;
}

/** Events and documents of one process: the only writer of ids and of item attributes. */
export interface IngestAssembly {
  readonly events: EventIngest;
  readonly documents: DocumentService;
  /** Within which a second delivery changes nothing. */
  horizon(): Deduplicator["horizon"];
  /** Call once, before anything is accepted. */
  restore(): Promise<RestoreReport>;
  /** Keeps the state; does nothing where there is no place for it. */
  checkpoint(): Promise<void>;
  /** Resolves once nothing is under way: what a stop waits for before it closes the log. */
  settle(): Promise<void>;
}

export function createIngest(parts: IngestParts): IngestAssembly {
  const { definition, state, log, store, clock } = parts;
  const { users, items, categories, metrics } = state;
  const memory = new ItemMemory({
    categories,
    categoriesMax: parts.categoriesMax ?? limits.categoriesMax,
    attributes: state.itemAttributes,
    fresh: state.fresh,
    onFull: () => metrics.add('rec_limit_reached_total{limit="categoriesMax"}', 1),
  });
  const deduplicator = new Deduplicator(parts.dedupIdsMax, () => clock.nowMs());
  const shared = { users, items, log, clock, metrics };
  const { interactions } = definition;
  const categoriesOf = (itemRow: number, out: Int32Array) =>
    state.itemAttributes.categoriesOf(itemRow, out);
  const turns = parts.turns === undefined ? {} : { turns: parts.turns };
  const taking = { interactions, deduplicator, categoriesOf, ...turns };
  const events = new EventIngest({ ...shared, ...taking });
  const applied = state.appliedDocuments;
  const documents = new DocumentService({ ...shared, store, memory, applied });
  const { checkpoints, report = () => {} } = parts;
  const tables = { users, items, categories, fresh: state.fresh };
  const keeper =
    checkpoints === undefined
      ? null
      : new IngestCheckpoint({
          ...{ ...tables, checkpoints, memory, deduplicator, events, log, store, applied },
          attributes: state.itemAttributes.table,
        });
  return {
    events,
    documents,
    horizon: () => deduplicator.horizon,
    async restore() {
      const point = (await keeper?.load()) ?? null;
      const into = { users, items, memory, applied, deduplicator };
      const restored = await restore({ log, store, ...into, point, report });
      if (point !== null && isBeyond(point, log)) await keeper?.save();
      return restored;
    },
    checkpoint: async () => await keeper?.save(),
    settle: async () => {
      await Promise.all([events.settle(), documents.settle()]);
    },
  };
}

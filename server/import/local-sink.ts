import { assert } from "../../models/core/assert.ts";
import { RecError } from "../../models/core/errors.ts";
import { Fault } from "../../models/core/schema.ts";
import type { InteractionDefinition } from "../../models/definition/define.ts";
import type { DocumentKindName, DocumentPut, Documents, IngestAnswer } from "../http/ports.ts";
import { itemBatch, userBatch } from "../ingest/document-schemas.ts";
import type { CheckedEvent } from "../ingest/validate.ts";
import type { ImportDocument, ImportEvent, ImportSink } from "./types.ts";

/** The part of ingest that takes history: events in their own time. */
export interface HistoryIngest {
  ingestHistory(events: readonly CheckedEvent[]): Promise<IngestAnswer>;
}

/** Writes an import, which `runImport` has checked, through this process's own ingest. */
export function localSink(options: {
  readonly ingest: HistoryIngest;
  readonly documents: Pick<Documents, "put">;
  readonly interactions: readonly InteractionDefinition[];
}): ImportSink {
  const { ingest, documents, interactions } = options;
  const codes = new Map(interactions.map(({ name }, code) => [name, code]));
  return {
    items: (batch) => documents.put("item", puts("item", batch)),
    users: (batch) => documents.put("user", puts("user", batch)),
    async events(batch) {
      const answer = await ingest.ingestHistory(batch.map((event) => checkedEvent(event, codes)));
      const [refused] = answer.rejected;
      if (refused === undefined) return answer;
      const message = `event ${batch[refused.index]?.id} was refused: ${refused.message}`;
      throw new RecError("REC_IMPORT_REFUSED", message);
    },
  };
}

/** Documents as the store wants them: times as numbers, the id beside. */
function puts(kind: DocumentKindName, batch: readonly ImportDocument[]): DocumentPut[] {
  const read = kind === "item" ? itemBatch.read(batch) : userBatch.read(batch);
  assert(!(read instanceof Fault), "documents were checked before");
  return read.map(({ id, ...document }) => ({ id, document }));
}

function checkedEvent(event: ImportEvent, codes: ReadonlyMap<string, number>): CheckedEvent {
  const type = codes.get(event.type);
  assert(type !== undefined, "event types were checked before");
  const { id, user, item, time, requestId, value = 0 } = event;
  return { id, type, user, item, timeMs: time, requestId, value };
}

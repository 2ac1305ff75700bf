import type { HistoryDocument, HistoryTie } from "../../server/history/read-history.ts";

/** Ties that can be told at once, with what their rows say of their items. */
export interface ToldBatch {
  readonly ties: readonly HistoryTie[];
  readonly documents: readonly HistoryDocument[];
}

const eventsMax = 4_000;

/**
 * Whole ties in their order, in batches that leave the server as one tie at a time would: an item
 * has one document in a batch, as events are counted under the categories of their moment.
 */
export function* toldBatches(ties: Iterable<HistoryTie>): Generator<ToldBatch> {
  let batch: HistoryTie[] = [];
  let events = 0;
  const documents = new Map<string, { text: string; document: HistoryDocument }>();
  for (const tie of ties) {
    const said = tie.rows.flatMap(({ document }) => document ?? []);
    const changes = said.some(({ item, document }) => {
      const known = documents.get(item);
      return known !== undefined && known.text !== JSON.stringify(document);
    });
    if (batch.length > 0 && (changes || events >= eventsMax)) {
      yield { ties: batch, documents: [...documents.values()].map(({ document }) => document) };
      batch = [];
      events = 0;
      documents.clear();
    }
    batch.push(tie);
    events += tie.events.length;
    for (const document of said) {
      documents.set(document.item, { text: JSON.stringify(document.document), document });
    }
  }
  const left = [...documents.values()].map(({ document }) => document);
  if (batch.length > 0) yield { ties: batch, documents: left };
}

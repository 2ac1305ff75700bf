import { noRow } from "../../models/core/bytes.ts";
import {
  featuresOf,
  type RecommenderDefinition,
  type ScopeName,
} from "../../models/definition/define.ts";
import { aggregateColumns } from "../../models/features/aggregates.ts";
import { featureCatalog, secondsScale } from "../../models/features/catalog.ts";
import {
  encodePlainly,
  type PlainCounts,
  type PlainRow,
} from "../../models/features/encoder.oracle.ts";
import {
  readSequenceTime,
  sequenceAt,
  sequenceWords,
} from "../../models/features/sequence-record.ts";
import { limits } from "../../models/limits.ts";
import type { DocumentHistory, PlainAttributes } from "./document-history.ts";
import type { RecentOne } from "./replay.ts";
import type { FullRecord, SlateReads } from "./slate-reads.ts";

/** What the ranker should have been told. */
export interface PlainSlate {
  readonly userDense: readonly number[];
  /** items x width. */
  readonly itemDense: readonly number[];
  /** Whether the record names the categories that the item's document had. */
  readonly sameCategories: readonly boolean[];
  /** Items whose attributes went into it. */
  readonly itemRows: ReadonlySet<number>;
}

/**
 * The slate's features by the oracle, from the rows as they stood and the documents before
 * `offset`.
 */
export function plainFeatures(
  definition: RecommenderDefinition,
  slate: SlateReads,
  { documents, offset }: { documents: DocumentHistory; offset: number },
): PlainSlate {
  const { record } = slate;
  const { items, asOfMs } = record;
  const attributes = [...items].map((row) => documents.at(row, offset));
  const recent = recentOf(slate);
  const plain = encodePlainly(definition, {
    asOfMs,
    user: rowOf(definition, slate, "user", 0),
    global: rowOf(definition, slate, "global", 0),
    recent: recent.map(({ itemRow, type, timeMs }) => {
      const { categories, author } = documents.at(itemRow, offset);
      return { type: definition.interactions[type]?.name ?? "", timeMs, categories, author };
    }),
    items: attributes.map((one, place) => itemOf(definition, { slate, place, attributes: one })),
  });
  return {
    ...plain,
    sameCategories: attributes.map(({ categories }, place) =>
      sameRows(categories, recordedCategories(record, place)),
    ),
    itemRows: new Set([...items, ...recent.map(({ itemRow }) => itemRow)]),
  };
}

function itemOf(
  definition: RecommenderDefinition,
  of: { slate: SlateReads; place: number; attributes: PlainAttributes },
) {
  const { slate, place, attributes } = of;
  const { itemDense, items, reads } = slate.record;
  const width = itemDense.length / items.length;
  const recorded = (name: string) => {
    const at = featureCatalog(definition).itemNames.indexOf(name);
    return itemDense[place * width + at] ?? 0;
  };
  return {
    own: rowOf(definition, slate, "item", place),
    categories: attributes.categories.map((row) => {
      const at = reads.categories.indexOf(row);
      return {
        row,
        own: rowOf(definition, slate, "category", at),
        pair: rowOf(definition, slate, "userCategory", at),
      };
    }),
    publishedAtMs: attributes.publishedAtMs,
    durationSeconds: attributes.durationSeconds,
    author: attributes.author,
    // No log holds them.
    itemToItem: recorded("item.itemToItemScore"),
    vector: recorded("item.vectorScore"),
  };
}

/** The stored sequence, then what came with the request; the oldest leave. */
function recentOf({ record, recent }: SlateReads): readonly RecentOne[] {
  const { session } = record.reads;
  const given = Array.from({ length: session.length / sequenceWords }, (_, i) => ({
    itemRow: session[i * sequenceWords + sequenceAt.itemRow]!,
    type: session[i * sequenceWords + sequenceAt.type]!,
    timeMs: readSequenceTime(session, i),
  }));
  return [...recent, ...given].slice(-limits.recentInteractionsPerUser);
}

/** Row `place` of a scope, by names; nothing for -1. */
function rowOf(
  definition: RecommenderDefinition,
  slate: SlateReads,
  scope: ScopeName,
  place: number,
): PlainRow {
  if (place < 0) return { counts: {}, aggregates: {} };
  const values = slate.aggregates(scope, place);
  const columns = aggregateColumns(definition, scope);
  const named = featuresOf(definition, scope).flatMap((feature, i) => {
    const column = columns[i];
    if (column === undefined) return [];
    const { interaction, kind, name } = feature;
    const seconds = definition.interactions.find((one) => one.name === interaction)?.value;
    const scale = seconds === "seconds" && kind !== "logDistinct" ? secondsScale : 1;
    return [[name, (values[column] ?? 0) / scale] as const];
  });
  return {
    counts: countsOf(definition, slate.counts[scope], place),
    aggregates: Object.fromEntries(named),
  };
}

/** Row `place` of a column of counter rows, by names. */
function countsOf(
  definition: RecommenderDefinition,
  counts: Uint32Array,
  place: number,
): PlainCounts {
  const windows = [...definition.windows.map(({ name }) => name), "total"];
  const { interactions } = definition;
  const from = place * windows.length * interactions.length;
  const row = (w: number) =>
    interactions.map(({ name }, c) => [name, counts[from + w * interactions.length + c]!]);
  return Object.fromEntries(windows.map((name, w) => [name, Object.fromEntries(row(w))]));
}

function recordedCategories(record: FullRecord, place: number): number[] {
  const more = record.moreCategories ?? new Uint32Array(0);
  const width = more.length / record.items.length;
  const others = more.subarray(place * width, (place + 1) * width);
  return [record.categories[place]!, ...others].filter((row) => row !== noRow);
}

function sameRows(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((row, i) => row === b[i]);
}

import { noRow } from "../../../models/core/bytes.ts";
import type { Clock } from "../../../models/core/clock.ts";
import { sequenceWords } from "../../../models/features/sequence-record.ts";
import { limits } from "../../../models/limits.ts";
import {
  encodeServed,
  type ServedReads,
  type ServedRecord,
} from "../../../models/training/served.ts";
import type { FeedContext } from "../feed-context.ts";
import type { SideEffect } from "../pipeline/stages.ts";
import type { Metrics, ServedLog } from "../state.ts";

const perItem = limits.itemCategoriesMax;

export interface ServedParts {
  readonly log: ServedLog;
  /** Partition of the topic that this thread alone writes. */
  readonly partition: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Wait until readers can see the record: virtual time goes on only then. */
  readonly waits: boolean;
}

/**
 * The record of the slate with the features as the ranker used them: training reads these and no
 * others. A slate whose features were left out (late) makes no record, only a count.
 */
export function servedRecord(parts: ServedParts): SideEffect<FeedContext> {
  const { log, partition, clock, metrics, waits } = parts;
  return {
    name: "served-record",
    essential: true,
    applies: ({ candidates }) => candidates.selectedCount > 0,
    perform(context) {
      if (!context.ranked.encoded || partition < 0) {
        metrics.add("rec_ranking_served_lost_total", 1);
        return undefined;
      }
      const bytes = encodeServed(servedOf(context, clock.nowMs()));
      const appended = log.append("served", partition, [bytes], { durable: false }).then(
        () => metrics.add("rec_ranking_served_records_total", 1),
        // The answer stands without it; training has one slate less.
        () => metrics.add("rec_ranking_served_lost_total", 1),
      );
      return waits ? appended : undefined;
    },
  };
}

/** Rows of `width` values of the selected candidates, in slate order. */
function rowsOf(context: FeedContext, column: Float32Array, width: number): Float32Array {
  const { selected, selectedCount } = context.candidates;
  const out = new Float32Array(selectedCount * width);
  for (let i = 0; i < selectedCount; i++) {
    const from = selected[i] * width;
    out.set(column.subarray(from, from + width), i * width);
  }
  return out;
}

/** Items x heads; NaN where no model scored. */
function headsOf({ candidates, ranked }: FeedContext, heads: number): Float32Array {
  const { selected, selectedCount, count } = candidates;
  const out = new Float32Array(selectedCount * heads);
  for (let i = 0; i < selectedCount; i++) {
    for (let h = 0; h < heads; h++) {
      out[i * heads + h] = ranked.scored ? ranked.heads[h * count + selected[i]] : Number.NaN;
    }
  }
  return out;
}

/** All but the first category of the selected candidates. */
function moreCategoriesOf({ candidates, attributes }: FeedContext): Uint32Array {
  const { selected, selectedCount } = candidates;
  const out = new Uint32Array(selectedCount * (perItem - 1));
  for (let i = 0; i < selectedCount; i++) {
    const from = selected[i] * perItem;
    out.set(attributes.categories.subarray(from + 1, from + perItem), i * (perItem - 1));
  }
  return out;
}

/** Offsets of what was read beside the items' and the user's counters. */
function readsOf(context: FeedContext): ServedReads {
  const { candidates, ranked, user } = context;
  const { slots, rows } = ranked.distinct;
  const found = new Set<number>();
  for (let i = 0; i < candidates.selectedCount; i++) {
    const from = candidates.selected[i] * perItem;
    for (let at = from; at < from + perItem && slots[at] >= 0; at++) found.add(slots[at]);
  }
  const distinct = [...found];
  const { recent, recentCount, sessionCount } = user;
  const session = recent.slice(
    (recentCount - sessionCount) * sequenceWords,
    recentCount * sequenceWords,
  );
  return {
    recentOffset: user.recentOffset[0],
    documentsFrom: context.documentsFrom,
    documentsTo: context.documentsTo,
    session,
    categories: Uint32Array.from(distinct, (slot) => rows[slot]),
    categoryOffsets: Float64Array.from(distinct, (slot) => ranked.categoryOffsets[slot]),
    pairOffsets: Float64Array.from(distinct, (slot) => ranked.pairOffsets[slot]),
  };
}

function servedOf(context: FeedContext, timeMs: number): ServedRecord {
  const { request, user, candidates, attributes, ranked } = context;
  const n = candidates.selectedCount;
  const pick = (columnAt: (index: number) => number) =>
    Uint32Array.from({ length: n }, (_, i) => columnAt(candidates.selected[i]));
  const offset = (i: number) => ranked.itemOffsets[candidates.selected[i]];
  return {
    requestId: request.requestId,
    userRow: user.row < 0 ? noRow : user.row,
    modelVersion: ranked.scored ? ranked.version : context.modelVersion,
    indexGeneration: context.lease?.generation.generation ?? 0,
    timeMs,
    asOfMs: context.nowMs,
    userOffset: user.offset[0],
    userDense: ranked.userDense,
    items: pick((index) => candidates.rows[index]),
    // -1 as a u32 is `noRow`.
    categories: pick((index) => attributes.categories[index * perItem]),
    moreCategories: moreCategoriesOf(context),
    // The bits name the definition's routes; given items came by none.
    routes: pick((index) => (request.kind === "recommend" ? candidates.sources[index] : 0)),
    scores: rowsOf(context, ranked.values, 1),
    propensities: candidates.propensities.slice(0, n),
    heads: headsOf(context, ranked.heads.length / ranked.capacity),
    itemOffsets: Float64Array.from({ length: n }, (_, i) => offset(i)),
    itemDense: rowsOf(context, ranked.itemDense, ranked.itemDense.length / ranked.capacity),
    reads: readsOf(context),
  };
}

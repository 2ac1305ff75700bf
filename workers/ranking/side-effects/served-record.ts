import { noRow } from "../../../models/core/bytes.ts";
import type { Clock } from "../../../models/core/clock.ts";
import { scopeNames } from "../../../models/definition/define.ts";
import { sequenceWords } from "../../../models/features/sequence-record.ts";
import { limits } from "../../../models/limits.ts";
import {
  encodeServed,
  type ServedReads,
  type ServedRecord,
} from "../../../models/training/served.ts";
import { partitionOfRequest, servedLogPartition } from "../../stores/partitions.ts";
import type { FeedContext } from "../feed-context.ts";
import type { SideEffect } from "../pipeline/stages.ts";
import type { Metrics, ServedLog } from "../state.ts";

const perItem = limits.itemCategoriesMax;

export interface ServedParts {
  readonly log: ServedLog;
  /** This thread's number among those that write slates. */
  readonly writer: number;
  /** Partitions of users. */
  readonly partitions: number;
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
  const { log, writer, clock, metrics, waits, partitions } = parts;
  return {
    name: "served-record",
    essential: true,
    applies: ({ candidates }) => candidates.selectedCount > 0,
    perform(context) {
      if (!context.ranked.encoded) {
        metrics.add("rec_ranking_served_lost_total", 1);
        return undefined;
      }
      const bytes = encodeServed(servedOf(context, clock.nowMs(), partitions));
      const share = {
        partition: partitionOfRequest(context.request.requestId, partitions),
        partitions,
      };
      const to = servedLogPartition(writer, share);
      const appended = log.append("served", to, [bytes], { durable: false }).then(
        () => metrics.add("rec_ranking_served_records_total", 1),
        // The answer stands without it; training has one slate less. So it is while a lost thread
        // of the same number is not surely gone: the partition is still its own.
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

/** Of rows `picked` of a column of [partition][row]. */
function partOffsets(
  column: Float64Array,
  of: { partials: number; stride: number; picked: readonly number[] },
): Float64Array {
  const { partials, stride, picked } = of;
  return Float64Array.from({ length: partials * picked.length }, (_, at) => {
    const partition = Math.floor(at / picked.length);
    return column[partition * stride + picked[at % picked.length]];
  });
}

/** Offsets of what was read beside the items' and the user's counters. */
function readsOf(context: FeedContext, partials: number): ServedReads {
  const { candidates, ranked, aggregates, user } = context;
  const { slots, rows } = ranked.distinct;
  const found = new Set<number>();
  for (let i = 0; i < candidates.selectedCount; i++) {
    const from = candidates.selected[i] * perItem;
    for (let at = from; at < from + perItem && slots[at] >= 0; at++) found.add(slots[at]);
  }
  const distinct = [...found];
  const items = [...candidates.selected.subarray(0, candidates.selectedCount)];
  const picked = {
    user: [0],
    item: items,
    category: distinct,
    userCategory: distinct,
    global: [0],
  };
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
    categoryOffsets: partOffsets(ranked.categoryOffsets, {
      ...{ partials, stride: ranked.distinct.distinct, picked: distinct },
    }),
    pairOffsets: Float64Array.from(distinct, (slot) => ranked.pairOffsets[slot]),
    globalOffsets: user.globalOffsets.slice(0, partials),
    aggregateOffsets: scopeNames.map((scope) => {
      const { offsets, count: stride, partials: parts } = aggregates[scope];
      if (offsets.length === 0) return offsets;
      return partOffsets(offsets, { partials: parts, stride, picked: picked[scope] });
    }),
  };
}

function servedOf(context: FeedContext, timeMs: number, partials: number): ServedRecord {
  const { request, user, candidates, attributes, ranked } = context;
  const n = candidates.selectedCount;
  const pick = (columnAt: (index: number) => number) =>
    Uint32Array.from({ length: n }, (_, i) => columnAt(candidates.selected[i]));
  const picked = Array.from({ length: n }, (_, i) => candidates.selected[i]);
  return {
    requestId: request.requestId,
    userRow: user.row < 0 ? noRow : user.row,
    modelVersion: ranked.version,
    indexGeneration: context.lease?.generation.generation ?? 0,
    timeMs,
    asOfMs: context.nowMs,
    userOffset: user.offset,
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
    itemOffsets: partOffsets(ranked.itemOffsets, { partials, stride: candidates.count, picked }),
    itemDense: rowsOf(context, ranked.itemDense, ranked.itemDense.length / ranked.capacity),
    reads: readsOf(context, partials),
  };
}

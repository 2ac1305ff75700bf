import type { RouteName } from "../../../models/definition/define.ts";
import type { IndexGeneration } from "../../../models/recall/generation.ts";

/** What recall may know of a request. Arrays belong to the caller and are only read. */
export interface RecallQuery {
  /** -1 for an anonymous session. */
  readonly userRow: number;
  /** The user's last interactions, oldest first; `recentCount` of them are valid. */
  readonly recentItems: Int32Array;
  readonly recentTypes: Uint8Array;
  readonly recentTimesMs: Float64Array;
  readonly recentCount: number;
  /** The user's preferred category rows, best first; -1 ends the list. */
  readonly categories: Int32Array;
  readonly generation: IndexGeneration | null;
  readonly nowMs: number;
}

/** Columns that a source fills from 0. */
export interface RecallColumns {
  readonly rows: Int32Array;
  readonly scores: Float32Array;
}

/** A recall route. Scores are >= 0 and comparable within a route only; no row comes twice. Not for
 * two calls at once: a source keeps its scratch. */
export interface RecallSource {
  readonly name: RouteName;
  /** Writes at most `quota` candidates, the best of each list first; gives how many. */
  recall(query: RecallQuery, quota: number, out: RecallColumns): number;
}

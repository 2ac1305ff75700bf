import { id128ToHex, utf8 } from "../../models/core/bytes.ts";
import type { Clock } from "../../models/core/clock.ts";
import { limits } from "../../models/limits.ts";
import { itemColumns } from "../stores/item-attributes.ts";
import type { Answer, RankingCall } from "./messages.ts";
import type { RankingState, SequenceReader } from "./state.ts";

export interface FallbackParts {
  readonly state: Pick<RankingState, "items" | "categories" | "readAttributes">;
  /** Row 0 for all, 1 + category row; records of two words, item row first, best first. */
  readonly trending: SequenceReader;
  readonly clock: Clock;
}

const perItem = limits.itemCategoriesMax;

/** What the front end answers when no thread does: what trends, or what was given, in its order. */
export function createFallback(parts: FallbackParts): (call: RankingCall) => Uint8Array {
  const { state, trending, clock } = parts;
  const rows = new Int32Array(limits.listItemsMax);
  const records = new Uint32Array(2 * limits.listItemsMax);
  const columns = itemColumns(limits.listItemsMax);

  function trendingRows(category: string | null): number {
    const list = category === null ? 0 : 1 + state.categories.find(category);
    if (category !== null && list === 0) return 0;
    const count = trending.read(list, records);
    for (let i = 0; i < count; i++) rows[i] = records[2 * i];
    return count;
  }

  function listed(call: RankingCall): number {
    if (call.kind === "similar") return 0;
    if (call.kind === "popular") return trendingRows(call.request.category);
    if (call.kind === "recommend") return trendingRows(null);
    let count = 0;
    for (const id of call.request.items.slice(0, rows.length)) {
      const row = state.items.find(id);
      if (row >= 0) rows[count++] = row;
    }
    return count;
  }

  function eligible(i: number, nowMs: number): boolean {
    const expires = columns.expiresAtMs[i];
    const shown = columns.deleted[i] === 0 && columns.hidden[i] === 0;
    return shown && (expires === 0 || expires > nowMs);
  }

  /** Everything that the request restricts still holds. */
  function wanted(call: RankingCall): (i: number) => boolean {
    if (call.kind !== "recommend") return () => true;
    const { exclude, categories } = call.request;
    const excluded = new Set(exclude.map((id) => state.items.find(id)));
    const only = categories.map((name) => state.categories.find(name)).filter((row) => row >= 0);
    return (i) => {
      if (excluded.has(rows[i])) return false;
      if (categories.length === 0) return true;
      const own = columns.categories.subarray(i * perItem, (i + 1) * perItem);
      return own.some((row) => only.includes(row));
    };
  }

  return (call) => {
    const n = call.kind === "rank" ? call.request.items.length : call.request.n;
    const count = listed(call);
    state.readAttributes(rows, count, columns);
    const keeps = wanted(call);
    const nowMs = clock.nowMs();
    const chosen = Array.from({ length: count }, (_, i) => i)
      .filter((i) => eligible(i, nowMs) && keeps(i))
      .slice(0, n);
    const none = call.request.details ? { details: null } : {};
    const answer: Answer = {
      requestId: id128ToHex(call.request.requestId),
      items: chosen.map((i, position) => ({
        ...{ id: state.items.id(rows[i]), score: 0, position, routes: routesOf(call) },
        ...{ heads: null, propensity: null, ...none },
      })),
      model: null,
      index: null,
      degraded: ["ranking"],
    };
    return utf8(JSON.stringify(answer));
  };
}

function routesOf(call: RankingCall): string[] {
  return call.kind === "rank" ? [] : ["trending"];
}

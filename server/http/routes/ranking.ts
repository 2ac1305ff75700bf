import { RecError } from "../../../models/core/errors.ts";
import type { Infer, JsonSchema } from "../../../models/core/schema.ts";
import type { RecommenderDefinition } from "../../../models/definition/define.ts";
import { limits } from "../../../models/limits.ts";
import { randomId128 } from "../../ingest/event-ids.ts";
import { readBodyAs, readParameterAs, readQueryAs } from "../checks.ts";
import { jsonAnswer } from "../errors.ts";
import type { Ranking, RecentInteraction } from "../ports.ts";
import type { Call, Route } from "../router.ts";
import {
  idParameter,
  popularQuery,
  rankSchema,
  recommendSchema,
  similarQuery,
} from "../schemas.ts";

/** The calls that the ranking threads answer. */

type RecommendBody = Infer<ReturnType<typeof recommendSchema>>;

export interface RankingRouteOptions {
  readonly definition: RecommenderDefinition;
  readonly ranking: Ranking;
}

function deadlineOf(call: Call, deadlineMs: number | undefined): number {
  return call.arrivedMs + (deadlineMs ?? limits.deadlineMsDefault);
}

/** Oldest first; an interaction without a time happened now. */
function recentOf(
  body: RecommendBody,
  codes: ReadonlyMap<string, number>,
  nowMs: number,
): RecentInteraction[] {
  const recent = (body.recent ?? []).map((one, i) => {
    const timeMs = one.time ?? nowMs;
    if (timeMs > nowMs + limits.futureLeadMs) {
      const message = `is over ${limits.futureLeadMs} ms ahead`;
      throw new RecError("REC_EVENT_FUTURE", message, { path: `recent[${i}].time` });
    }
    return { item: one.item, type: codes.get(one.type) ?? 0, timeMs };
  });
  return recent.sort((a, b) => a.timeMs - b.timeMs);
}

function weightsOf(
  weights: Readonly<Record<string, number | undefined>> | undefined,
): Record<string, number> | null {
  if (weights === undefined) return null;
  const out: Record<string, number> = {};
  for (const [head, weight] of Object.entries(weights)) {
    if (weight !== undefined) out[head] = weight;
  }
  return out;
}

function refuseRepeats(items: readonly string[]): void {
  const seen = new Set<string>();
  items.forEach((item, i) => {
    if (seen.has(item)) {
      throw new RecError("REC_INPUT_VALUE", "stands twice", { path: `items[${i}]` });
    }
    seen.add(item);
  });
}

function jsonBody(schema: JsonSchema): NonNullable<Route["body"]> {
  return { kinds: ["json"], bytesMax: limits.rankBodyBytesMax, schema };
}

function recommendRoute({ definition, ranking }: RankingRouteOptions): Route {
  const schema = recommendSchema(definition);
  const codes = new Map(definition.interactions.map(({ name }, code) => [name, code]));
  return {
    method: "POST",
    path: "/v1/recommend",
    name: "recommend",
    work: "rank",
    latency: "rec_http_recommend_latency_ms",
    summary: "A slate of items for a user, or for a session by its recent interactions.",
    body: jsonBody(schema.openApi),
    async handle(call) {
      const body = readBodyAs(call, schema);
      const request = {
        requestId: randomId128(),
        user: body.user ?? null,
        recent: recentOf(body, codes, call.arrivedMs),
        n: body.n ?? definition.slateDefault,
        context: body.context ?? {},
        exclude: body.exclude ?? [],
        categories: body.categories ?? [],
        weights: weightsOf(body.weights),
        details: body.details ?? false,
        explain: body.explain ?? false,
      };
      return jsonAnswer(await ranking.recommend(request, deadlineOf(call, body.deadlineMs)));
    },
  };
}

function rankRoute({ definition, ranking }: RankingRouteOptions): Route {
  const schema = rankSchema(definition);
  return {
    method: "POST",
    path: "/v1/rank",
    name: "rank",
    work: "rank",
    summary: "The given items, ranked for a user.",
    body: jsonBody(schema.openApi),
    async handle(call) {
      const body = readBodyAs(call, schema);
      refuseRepeats(body.items);
      const request = {
        requestId: randomId128(),
        user: body.user ?? null,
        items: body.items,
        weights: weightsOf(body.weights),
        details: body.details ?? false,
        explain: body.explain ?? false,
      };
      return jsonAnswer(await ranking.rank(request, deadlineOf(call, body.deadlineMs)));
    },
  };
}

function similarRoute({ definition, ranking }: RankingRouteOptions): Route {
  return {
    method: "GET",
    path: "/v1/items/{id}/similar",
    name: "similar",
    work: "rank",
    summary: "Items that are like this one.",
    query: similarQuery,
    async handle(call) {
      const { n, details } = readQueryAs(call, similarQuery);
      const request = {
        requestId: randomId128(),
        item: readParameterAs(call, idParameter),
        n: n ?? definition.slateDefault,
        details: details ?? false,
      };
      return jsonAnswer(await ranking.similar(request, deadlineOf(call, undefined)));
    },
  };
}

function popularRoute({ definition, ranking }: RankingRouteOptions): Route {
  return {
    method: "GET",
    path: "/v1/popular",
    name: "popular",
    work: "rank",
    summary: "Items that are popular now, over all or in one category.",
    query: popularQuery,
    async handle(call) {
      const { n, category, details } = readQueryAs(call, popularQuery);
      const request = {
        requestId: randomId128(),
        n: n ?? definition.slateDefault,
        category: category ?? null,
        details: details ?? false,
      };
      return jsonAnswer(await ranking.popular(request, deadlineOf(call, undefined)));
    },
  };
}

export function rankingRoutes(options: RankingRouteOptions): Route[] {
  return [recommendRoute, rankRoute, similarRoute, popularRoute].map((make) => make(options));
}

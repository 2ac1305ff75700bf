import type { Clock } from "../../models/core/clock.ts";
import { RecError } from "../../models/core/errors.ts";
import { limits } from "../../models/limits.ts";
import { requestIdFor } from "../stores/partitions.ts";
import { answerOf } from "./answer.ts";
import { ContextPool } from "./context-pool.ts";
import { feedStages, popularStages, rankStages, similarStages } from "./feed.ts";
import { type FeedParts, feedComponents, sourceQuotas } from "./feed-components.ts";
import { FeedContext, type FeedRequest } from "./feed-context.ts";
import type {
  Answer,
  PopularRequest,
  RankingCall,
  RankRequest,
  RecommendRequest,
  SimilarRequest,
} from "./messages.ts";
import { pipelineObserver } from "./observer.ts";
import { systemTimer, type Timer } from "./pipeline/deadline.ts";
import { Pipeline } from "./pipeline/pipeline.ts";
import { releasePins } from "./query-hydrators/pins-hydrator.ts";

export interface EngineParts extends FeedParts {
  /** Reader numbers for pins, one for each request that may be under way at a time. */
  readonly readers: readonly number[];
  /** Null in virtual time: nothing is late. */
  readonly timer?: Timer | null;
}

type Kind = FeedRequest["kind"];

const nothing = {
  user: null,
  recent: [],
  context: {},
  exclude: [],
  categories: [],
  weights: null,
  given: [],
  explain: false,
} as const;

/** Any call in the one shape that the components know. */
function feedRequest(call: RankingCall): FeedRequest {
  switch (call.kind) {
    case "recommend":
      return { ...nothing, kind: call.kind, ...call.request };
    case "rank": {
      const { items, ...request } = call.request;
      return { ...nothing, kind: call.kind, ...request, n: items.length, given: items };
    }
    case "similar": {
      const { item, ...request } = call.request;
      return { ...nothing, kind: call.kind, ...request, given: [item] };
    }
    case "popular": {
      const { category, ...request } = call.request;
      const categories = category === null ? [] : [category];
      return { ...nothing, kind: call.kind, ...request, categories };
    }
  }
}

/**
 * Answers requests on one thread: the same code in a ranking worker and in a simulation with a
 * clock of its own. While all that a request needs is at hand it runs without a pause.
 */
export class RankingEngine {
  readonly #parts: EngineParts;
  readonly #contexts: ContextPool;
  readonly #pipelines: Readonly<Record<Kind, Pipeline<FeedContext>>>;
  readonly #clock: Clock;
  readonly #heads: readonly string[];

  constructor(parts: EngineParts) {
    const { definition, encoder, clock, metrics, timer = systemTimer } = parts;
    const quotas = sourceQuotas(definition);
    this.#parts = parts;
    this.#clock = clock;
    this.#heads = definition.heads.map(({ name }) => name);
    this.#contexts = new ContextPool(
      parts.readers,
      (reader) => new FeedContext({ definition, encoder, quotas, reader }),
    );
    const components = feedComponents(parts);
    const observer = pipelineObserver(metrics);
    const pipeline = (stages: ReturnType<typeof feedStages>) =>
      new Pipeline<FeedContext>({ stages, clock, observer, timer });
    this.#pipelines = {
      recommend: pipeline(feedStages(components)),
      rank: pipeline(rankStages(components)),
      similar: pipeline(similarStages(components)),
      popular: pipeline(popularStages(components)),
    };
  }

  recommend(request: RecommendRequest, deadlineAtMs?: number): Promise<Answer> {
    return this.answer({ kind: "recommend", request }, deadlineAtMs);
  }

  rank(request: RankRequest, deadlineAtMs?: number): Promise<Answer> {
    return this.answer({ kind: "rank", request }, deadlineAtMs);
  }

  similar(request: SimilarRequest, deadlineAtMs?: number): Promise<Answer> {
    return this.answer({ kind: "similar", request }, deadlineAtMs);
  }

  popular(request: PopularRequest, deadlineAtMs?: number): Promise<Answer> {
    return this.answer({ kind: "popular", request }, deadlineAtMs);
  }

  /**
   * Answers by about `deadlineAtMs` (epoch ms; default: the default deadline from now), with what
   * was late left out. Rejects with REC_ITEM_UNKNOWN where the similar of an unknown item are
   * asked.
   */
  async answer(call: RankingCall, deadlineAtMs?: number): Promise<Answer> {
    return await this.answerNow(call, deadlineAtMs);
  }

  /** The same; the answer itself where nothing had to be waited for. Throws or rejects. */
  answerNow(call: RankingCall, deadlineAtMs?: number): Answer | Promise<Answer> {
    const request = this.#placed(feedRequest(call));
    this.#check(request);
    const free = this.#contexts.acquire();
    if (!(free instanceof Promise)) return this.#run(free, request, deadlineAtMs);
    return free.then((context) => this.#run(context, request, deadlineAtMs));
  }

  /** Where the request's slate will stand is part of its name. */
  #placed(request: FeedRequest): FeedRequest {
    const { partials } = this.#parts.state.windows.item;
    const requestId = requestIdFor(request.requestId, request.user, partials);
    return partials === 1 ? request : { ...request, requestId };
  }

  #run(context: FeedContext, request: FeedRequest, deadlineAtMs?: number) {
    let waits = false;
    try {
      const nowMs = this.#clock.nowMs();
      context.begin(request, nowMs, deadlineAtMs ?? nowMs + limits.deadlineMsDefault);
      const running = this.#pipelines[request.kind].run(context);
      if (running === undefined) return this.#answer(context);
      waits = true;
      return running.then(() => this.#answer(context)).finally(() => this.#end(context));
    } finally {
      if (!waits) this.#end(context);
    }
  }

  #answer(context: FeedContext): Answer {
    const { sources } = this.#pipelines[context.request.kind];
    const { state, encoder } = this.#parts;
    const { catalog } = encoder;
    return answerOf(context, { items: state.items, heads: this.#heads, sources, catalog });
  }

  #end(context: FeedContext): void {
    releasePins(context, this.#parts.state.slots);
    this.#contexts.release(context);
  }

  /** Documents of these item rows changed or went: what is cached of them is dropped. */
  documentsChanged(rows: readonly number[]): void {
    this.#parts.details.drop(rows);
  }

  #check({ kind, given: [item = ""] }: FeedRequest): void {
    if (kind === "similar" && this.#parts.state.items.find(item) < 0) {
      throw new RecError("REC_ITEM_UNKNOWN", "no such item", { path: "id" });
    }
  }
}

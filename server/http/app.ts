import type { Clock } from "../../models/core/clock.ts";
import { RecError } from "../../models/core/errors.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { limits } from "../../models/limits.ts";
import type { Log } from "../log.ts";
import { Admission, type AdmissionOptions } from "./admission.ts";
import type { Gate } from "./auth.ts";
import { Bodies, type BodiesOptions } from "./bodies.ts";
import { type BodyKind, bodyKind, declaredBytes, isSkippable } from "./body.ts";
import { answerHeaders, errorAnswer, failureFields } from "./errors.ts";
import { openApiDocument } from "./openapi.ts";
import type { DoorPorts } from "./ports.ts";
import { type Match, type Route, Router, splitUrl } from "./router.ts";
import { documentRoutes } from "./routes/documents.ts";
import { eventRoutes } from "./routes/events.ts";
import { modelRoutes } from "./routes/models.ts";
import { operationRoutes } from "./routes/operations.ts";
import { rankingRoutes } from "./routes/ranking.ts";
import { watchedRanking } from "./watched-ranking.ts";

export interface AppOptions {
  readonly definition: RecommenderDefinition;
  readonly ports: DoorPorts;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly log: Log;
  readonly rankAdmission?: Partial<AdmissionOptions>;
  readonly writeAdmission?: Partial<AdmissionOptions>;
  readonly bodies?: Partial<BodiesOptions>;
}

const admissionDefaults: AdmissionOptions = {
  inFlightMax: limits.inFlightRequestsMax,
  // A third of the deadline may go on waiting: a burst after a stall of the machine is then still
  // answered in time. More only adds delay.
  waitMsMax: limits.deadlineMsDefault / 3,
  // A queue that stays gains nothing by being longer than what keeps the threads busy.
  standingMsMax: limits.deadlineMsDefault / 40,
  inFlightFloor: 4,
  bytesMax: limits.appendQueueBytesMax,
};

/** Writes wait for a disk and have no deadline but the client's patience. */
const writeWaitMsMax = 1_000;

const busyBody =
  '{"error":{"code":"REC_HTTP_BUSY","message":"too much work is waiting; try again later"}}';
const busyHeaders = { ...answerHeaders, "retry-after": "1" };

/** All routes of the door, with the OpenAPI document made from them. */
function routesOf({ definition, ports, clock }: AppOptions): Route[] {
  const { metrics } = ports;
  const ranking = watchedRanking({ ranking: ports.ranking, metrics, clock });
  let openApi: string | null = null;
  const routes: Route[] = [
    ...rankingRoutes({ definition, ranking }),
    ...eventRoutes({ definition, ingest: ports.ingest, metrics }),
    ...documentRoutes(ports.documents),
    ...modelRoutes(ports.models),
    ...operationRoutes({
      ports,
      openApi: () => {
        openApi ??= JSON.stringify(openApiDocument(routes));
        return openApi;
      },
    }),
  ];
  return routes;
}

/**
 * The door: from a request to an answer. The cheap refusals come first: name and token, route,
 * admission, type and size; only then is the body read and parsed.
 */
export class App {
  readonly #options: AppOptions;
  readonly #router: Router;
  readonly #admissions: { readonly rank: Admission; readonly write: Admission };
  readonly #bodies: Bodies;
  #inFlight = 0;
  #lastSeenMs = 0;

  constructor(options: AppOptions) {
    this.#options = options;
    this.#router = new Router(routesOf(options));
    this.#bodies = new Bodies({ metrics: options.ports.metrics, ...options.bodies });
    const patience = { waitMsMax: writeWaitMsMax, standingMsMax: writeWaitMsMax };
    const write = { ...patience, ...options.writeAdmission };
    this.#admissions = {
      rank: new Admission({ ...admissionDefaults, ...options.rankAdmission }),
      write: new Admission({ ...admissionDefaults, ...write }),
    };
  }

  /** Requests without an answer yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Epoch ms of the latest request or answer: a stop waits for silence. */
  get lastSeenMs(): number {
    return this.#lastSeenMs;
  }

  /** Never rejects: whatever goes wrong becomes an answer. */
  async fetch(request: Request): Promise<Response> {
    const arrivedMs = this.#options.clock.nowMs();
    this.#inFlight++;
    this.#lastSeenMs = arrivedMs;
    try {
      return await this.#answer(request, arrivedMs);
    } catch (thrown) {
      return this.#failed(request, thrown, arrivedMs);
    } finally {
      this.#inFlight--;
      this.#lastSeenMs = this.#options.clock.nowMs();
    }
  }

  async #answer(request: Request, arrivedMs: number): Promise<Response> {
    const { path, query } = splitUrl(request.url);
    const { gate } = this.#options;
    if (!this.#router.isOpen(path)) {
      gate.checkOrigin(request.headers);
      gate.checkToken(request.headers);
    }
    const match = this.#router.match(request.method, path);
    const { route } = match;
    this.#options.ports.metrics.add(`rec_http_requests_total{route="${route.name}"}`, 1);
    if (query !== "" && route.query === undefined) {
      throw new RecError("REC_INPUT_UNKNOWN_FIELD", "this path takes no query", { path: "query" });
    }
    if (route.work === "free") return await this.#call({ request, match, query, arrivedMs });
    const admission = this.#admissions[route.work];
    return await this.#admit({ request, match, query, arrivedMs }, admission);
  }

  async #admit(visit: Visit, admission: Admission): Promise<Response> {
    const { request, match } = visit;
    const bytesMax = match.route.body?.bytesMax ?? 0;
    // Before the size: a full server refuses with what it knows without looking.
    if (admission.refuses(0)) return this.#busy(visit.arrivedMs);
    const bytes = bytesMax === 0 ? 0 : declaredBytes(request.headers, bytesMax);
    if (admission.refuses(bytes)) return this.#busy(visit.arrivedMs);
    const body = await this.#readBody(visit, bytes);
    // A body may drip in for long: only from here on does the request count as work.
    if (!admission.enter(bytes)) return this.#busy(visit.arrivedMs);
    const { clock } = this.#options;
    const enteredMs = clock.nowMs();
    try {
      return await this.#call(visit, body);
    } finally {
      admission.leave({ bytes, enteredMs, leftMs: clock.nowMs() });
    }
  }

  async #readBody({ request, match }: Visit, declared: number): Promise<Body> {
    const rules = match.route.body;
    if (rules === undefined) return noBody;
    const kind = bodyKind(request.headers, rules.kinds);
    return { bytes: await this.#bodies.read(request, rules.bytesMax, declared), kind };
  }

  async #call(visit: Visit, body: Body = noBody): Promise<Response> {
    const { request, match, query, arrivedMs } = visit;
    const { route, parameter } = match;
    const answer = await route.handle({
      ...{ arrivedMs, parameter, body: body.bytes, bodyKind: body.kind },
      query: new URLSearchParams(query),
      headers: request.headers,
    });
    if (route.latency !== undefined) {
      const { clock, ports } = this.#options;
      ports.metrics.observe(route.latency, clock.nowMs() - arrivedMs);
    }
    return answer;
  }

  #busy(arrivedMs: number): Response {
    const { ports, clock } = this.#options;
    ports.metrics.add('rec_http_refused_total{reason="busy"}', 1);
    ports.metrics.add('rec_limit_reached_total{limit="inFlightRequestsMax"}', 1);
    ports.metrics.observe("rec_http_refusal_latency_ms", clock.nowMs() - arrivedMs);
    return new Response(busyBody, { status: 503, headers: { ...busyHeaders } });
  }

  #failed(request: Request, thrown: unknown, arrivedMs: number): Response {
    const { ports, log, clock } = this.#options;
    const answer = errorAnswer(thrown);
    if (answer.status === 413 && !isSkippable(request.headers)) {
      answer.headers.set("connection", "close");
    }
    const reason = refusalReasons[answer.status] ?? "input";
    if (answer.status >= 500 && answer.status !== 503) {
      ports.metrics.add("rec_http_server_errors_total", 1);
      const { method, url } = request;
      log.error("a request failed", { method, url, ...failureFields(thrown) });
      return answer;
    }
    ports.metrics.add(`rec_http_refused_total{reason="${reason}"}`, 1);
    ports.metrics.observe("rec_http_refusal_latency_ms", clock.nowMs() - arrivedMs);
    return answer;
  }
}

const refusalReasons: Readonly<Record<number, string>> = {
  401: "auth",
  403: "origin",
  503: "busy",
};

/** A request with where it goes. */
interface Visit {
  readonly request: Request;
  readonly match: Match;
  readonly query: string;
  readonly arrivedMs: number;
}

interface Body {
  readonly bytes: Uint8Array;
  readonly kind: BodyKind;
}

const noBody: Body = { bytes: new Uint8Array(0), kind: "json" };

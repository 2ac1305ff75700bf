import { RecError } from "../../../models/core/errors.ts";
import { Fault } from "../../../models/core/schema.ts";
import type { RecommenderDefinition } from "../../../models/definition/define.ts";
import { limits } from "../../../models/limits.ts";
import { mainTurns } from "../../turns.ts";
import { jsonAnswer, statusOf } from "../errors.ts";
import { IdempotencyKeys } from "../idempotency.ts";
import { parseJsonInTurns, parseNdjson } from "../json-parse.ts";
import type { Ingest, IngestAnswer, MetricSink, ParsedElement } from "../ports.ts";
import type { Call, Route } from "../router.ts";
import { eventBatchSchema, idParameter } from "../schemas.ts";

async function elementsOf(call: Call): Promise<readonly ParsedElement[]> {
  if (call.bodyKind === "ndjson") {
    return await parseNdjson(call.body, limits.batchEventsMax, mainTurns);
  }
  const batch = await parseJsonInTurns(call.body, mainTurns);
  if (!Array.isArray(batch)) {
    throw new RecError("REC_INPUT_TYPE", "must be an array of events", { path: "body" });
  }
  if (batch.length > limits.batchEventsMax) {
    const message = `must have at most ${limits.batchEventsMax} elements`;
    throw new RecError("REC_INPUT_LENGTH", message, { path: "body" });
  }
  return batch.map((value: unknown) => ({ value }));
}

function keyOf(headers: Headers): string | null {
  const given = headers.get("idempotency-key");
  if (given === null) return null;
  const key = idParameter.read(given);
  if (!(key instanceof Fault)) return key;
  throw new RecError(key.code, key.message, { path: "header.idempotency-key" });
}

/** 200 if anything was taken or known, or nothing was sent; else the fault of the first. */
function answerOf(answer: IngestAnswer): Response {
  const { accepted, duplicates, rejected } = answer;
  const [first] = rejected;
  if (accepted + duplicates > 0 || first === undefined) return jsonAnswer(JSON.stringify(answer));
  const { code, message } = first;
  const path = `[${first.index}]${first.path === undefined ? "" : joined(first.path)}`;
  const status = statusOf(code);
  const headers: Record<string, string> = status === 503 ? { "retry-after": "1" } : {};
  const body = JSON.stringify({ error: { code, message, path }, ...answer });
  return jsonAnswer(body, { status, headers });
}

function joined(path: string): string {
  return path === "" || path === "body" || path.startsWith("[") ? "" : `.${path}`;
}

export interface EventRouteOptions {
  readonly definition: RecommenderDefinition;
  readonly ingest: Ingest;
  readonly metrics: MetricSink;
}

export function eventRoutes({ definition, ingest, metrics }: EventRouteOptions): Route[] {
  const keys = new IdempotencyKeys<IngestAnswer>(limits.idempotencyKeysMax, () =>
    metrics.add('rec_limit_reached_total{limit="idempotencyKeysMax"}', 1),
  );
  return [
    {
      method: "POST",
      path: "/v1/events",
      name: "events",
      work: "write",
      latency: "rec_http_events_latency_ms",
      summary: "A batch of events, as a JSON array or NDJSON; answered once it is durable.",
      body: {
        kinds: ["json", "ndjson"],
        bytesMax: limits.bodyBytesMax,
        schema: eventBatchSchema(definition).openApi,
      },
      async handle(call) {
        const key = keyOf(call.headers);
        const work = async () => await ingest.ingest(await elementsOf(call), key);
        return answerOf(await (key === null ? work() : keys.once(key, call.body, work)));
      },
    },
  ];
}

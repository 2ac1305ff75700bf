import { utf8 } from "../../models/core/bytes.ts";
import type { Clock } from "../../models/core/clock.ts";
import recommender from "../../models/definition/default.ts";
import { Deduplicator } from "../ingest/deduplicate.ts";
import { DocumentService } from "../ingest/documents.ts";
import {
  FakeApplied,
  FakeAttributes,
  FakeFresh,
  FakeIds,
  FakeLog,
  FakeMetrics,
  FakeStore,
} from "../ingest/fakes.ts";
import { EventIngest } from "../ingest/ingest.ts";
import { ItemMemory } from "../ingest/item-attributes.ts";
import { App, type AppOptions } from "./app.ts";
import { Gate, loopbackNames } from "./auth.ts";
import type { DoorPorts } from "./ports.ts";

/** An app over real ingest on fake stores, and a ranking port that only notes what it was asked. */

const silent = () => undefined;
const quiet = { debug: silent, info: silent, warn: silent, error: silent };

export interface FakeDoorOptions extends Partial<AppOptions> {
  readonly clock: Clock;
  readonly token?: string;
  /** What ranking does before it answers. */
  readonly work?: () => Promise<void>;
  /** Text of ranking's answer. */
  readonly answer?: string;
}

export function fakeDoor(options: FakeDoorOptions) {
  const asked: unknown[] = [];
  const answer = async (request: unknown, deadlineAtMs: number) => {
    asked.push({ request, deadlineAtMs });
    await options.work?.();
    return utf8(options.answer ?? '{"items":[]}');
  };
  const ids = { users: new FakeIds(), items: new FakeIds(), categories: new FakeIds() };
  const log = new FakeLog();
  const metrics = new FakeMetrics();
  const { clock } = options;
  const memory = new ItemMemory({
    ...{ categories: ids.categories, categoriesMax: 100 },
    ...{ attributes: new FakeAttributes(), fresh: new FakeFresh() },
  });
  const shared = { ...ids, log, clock, metrics };
  const note = async (what: unknown) => {
    asked.push(what);
    return utf8("[]");
  };
  const ports: DoorPorts = {
    ranking: { recommend: answer, rank: answer, similar: answer, popular: answer },
    ingest: new EventIngest({
      ...shared,
      interactions: recommender.interactions,
      deduplicator: new Deduplicator(10_000),
    }),
    documents: new DocumentService({
      ...{ ...shared, store: new FakeStore(), memory, applied: new FakeApplied() },
    }),
    models: { list: () => note("list"), promote: note, rollback: () => note("rollback") },
    metrics,
    readiness: () => ({ ready: false, waitingFor: ["a model"] }),
    exposition: () => "# nothing\n",
    status: () => ({ requestsTotal: 1 }),
  };
  const gate = new Gate({ token: options.token ?? null, names: loopbackNames });
  const app = new App({ definition: recommender, ports, gate, log: quiet, ...options });
  /** Everything that a refused request must leave as it was. */
  const touched = () => ({
    asked: asked.length,
    ids: [ids.users.size, ids.items.size, ids.categories.size],
    records: log.records("events").length + log.records("items").length,
  });
  return { app, asked, log, metrics, ids, touched };
}

/** A request as it reaches the app, on loopback unless `headers` says otherwise. */
export function callOf(
  method: string,
  path: string,
  body?: string | Uint8Array | null,
  headers: Readonly<Record<string, string>> = {},
): Request {
  const length = body == null ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const type = body == null ? {} : { "content-type": "application/json" };
  return new Request(`http://127.0.0.1${path}`, {
    method,
    body: body ?? null,
    headers: { host: "127.0.0.1:3000", ...type, ...length, ...headers },
  });
}

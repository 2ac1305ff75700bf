import { assert } from "../../models/core/assert.ts";
import { RecError } from "../../models/core/errors.ts";
import type { JsonSchema, Schema } from "../../models/core/schema.ts";
import type { HistogramName } from "../../workers/metrics.ts";
import type { BodyKind } from "./body.ts";
import { MethodError } from "./errors.ts";

export type Method = "GET" | "PUT" | "POST" | "DELETE";

/** Which admission a request passes: none, the ranking threads', or the log's. */
export type WorkClass = "free" | "rank" | "write";

/** What a handler is given; everything about the transport has been checked. */
export interface Call {
  /** Epoch ms at which the request was seen. */
  readonly arrivedMs: number;
  /** The decoded `{name}` part of the path; empty where the route has none. */
  readonly parameter: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly bodyKind: BodyKind;
}

export interface Route {
  readonly method: Method;
  /** `/v1/items/{id}/similar`: at most one parameter. */
  readonly path: string;
  /** Label of the request counter. */
  readonly name: string;
  readonly work: WorkClass;
  /** Only health is open once a token is set. */
  readonly open?: boolean;
  readonly summary: string;
  /** Where the route has a body: its kinds and its largest size. */
  readonly body?: {
    readonly kinds: readonly BodyKind[];
    readonly bytesMax: number;
    readonly schema: JsonSchema;
  };
  /** The fields of the query; a route without any refuses every query. */
  readonly query?: { readonly fields: Readonly<Record<string, Schema<unknown>>> };
  /** Where the time from arrival to answer is counted. */
  readonly latency?: HistogramName;
  handle(call: Call): Promise<Response> | Response;
}

interface Pattern {
  readonly before: string;
  readonly after: string;
  readonly methods: Map<string, Route>;
}

export interface Match {
  readonly route: Route;
  readonly parameter: string;
}

/** Path and query of a request's URL, without the cost of a URL object. */
export function splitUrl(url: string): { path: string; query: string } {
  const from = url.indexOf("/", url.indexOf("//") + 2);
  const mark = url.indexOf("?", from);
  if (from < 0) return { path: "/", query: "" };
  return mark < 0
    ? { path: url.slice(from), query: "" }
    : { path: url.slice(from, mark), query: url.slice(mark + 1) };
}

export class Router {
  readonly #exact = new Map<string, Map<string, Route>>();
  readonly #patterns: Pattern[] = [];

  readonly #open: ReadonlySet<string>;

  constructor(routes: readonly Route[]) {
    this.#open = new Set(routes.filter(({ open }) => open).map(({ path }) => path));
    for (const route of routes) {
      const methods = this.#methodsOf(route.path);
      assert(!methods.has(route.method), `route ${route.method} ${route.path} stands twice`);
      methods.set(route.method, route);
    }
  }

  /** Needs no token. */
  isOpen(path: string): boolean {
    return this.#open.has(path);
  }

  /** Throws REC_HTTP_NOT_FOUND, or REC_HTTP_METHOD with what is allowed. */
  match(method: string, path: string): Match {
    const exact = this.#exact.get(path);
    if (exact !== undefined) return { route: routeOf(exact, method), parameter: "" };
    for (const { before, after, methods } of this.#patterns) {
      if (!path.startsWith(before) || !path.endsWith(after)) continue;
      const raw = path.slice(before.length, path.length - after.length);
      if (raw === "" || raw.includes("/")) continue;
      return { route: routeOf(methods, method), parameter: decodePart(raw) };
    }
    throw new RecError("REC_HTTP_NOT_FOUND", "there is nothing at this path", { path: "path" });
  }

  #methodsOf(path: string): Map<string, Route> {
    const [before = "", after] = path.split(/\{\w+\}/);
    if (after === undefined) {
      const known = this.#exact.get(path) ?? new Map<string, Route>();
      this.#exact.set(path, known);
      return known;
    }
    const known = this.#patterns.find((one) => one.before === before && one.after === after);
    if (known !== undefined) return known.methods;
    const added: Pattern = { before, after, methods: new Map() };
    this.#patterns.push(added);
    return added.methods;
  }
}

function routeOf(methods: ReadonlyMap<string, Route>, method: string): Route {
  const route = methods.get(method);
  if (route === undefined) throw new MethodError(method, [...methods.keys()]);
  return route;
}

function decodePart(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch (cause) {
    throw new RecError("REC_INPUT_UTF8", "the path is not valid UTF-8", { path: "path", cause });
  }
}

import { jsonAnswer } from "../errors.ts";
import type { DoorPorts } from "../ports.ts";
import type { Method, Route } from "../router.ts";
import { statusPage, statusPageHeaders } from "../status-page.ts";

/** Health, readiness, metrics, the contract and the status page. */

export interface OperationRouteOptions {
  readonly ports: Pick<DoorPorts, "readiness" | "exposition" | "status">;
  /** The OpenAPI document as JSON text; asked once a call. */
  readonly openApi: () => string;
}

const exposition = { "content-type": "text/plain; version=0.0.4; charset=utf-8" } as const;

function ready({ ports }: OperationRouteOptions): Response {
  const { ready, waitingFor } = ports.readiness();
  const body = JSON.stringify({ ready, waitingFor });
  return ready
    ? jsonAnswer(body)
    : jsonAnswer(body, { status: 503, headers: { "retry-after": "1" } });
}

export function operationRoutes(options: OperationRouteOptions): Route[] {
  const get: { readonly method: Method; readonly name: string; readonly work: "free" } = {
    method: "GET",
    name: "other",
    work: "free",
  };
  const { ports, openApi } = options;
  return [
    {
      ...get,
      path: "/healthz",
      open: true,
      summary: "The process answers.",
      handle: () => jsonAnswer('{"alive":true}'),
    },
    {
      ...get,
      path: "/readyz",
      open: true,
      summary: "Warm and able to recommend; says what is missing.",
      handle: () => ready(options),
    },
    {
      ...get,
      path: "/metrics",
      summary: "Prometheus text.",
      handle: () => new Response(ports.exposition(), { headers: exposition }),
    },
    {
      ...get,
      path: "/openapi.json",
      summary: "This contract.",
      handle: () => jsonAnswer(openApi()),
    },
    {
      ...get,
      path: "/v1/status",
      summary: "The figures of the status page.",
      handle: () => jsonAnswer(JSON.stringify(ports.status())),
    },
    {
      ...get,
      path: "/",
      summary: "The status page.",
      handle: () => new Response(statusPage, { headers: statusPageHeaders }),
    },
  ];
}

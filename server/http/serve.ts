import { RecError } from "../../models/core/errors.ts";
import { refuseConnections } from "../../native/index.ts";
import type { App } from "./app.ts";
import { isLoopback } from "./auth.ts";

/** The listening socket around an app, and its graceful end. */

export interface ServeOptions {
  readonly app: App;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly hasToken: boolean;
}

export interface StopOptions {
  /** Requests that take longer are cut off. */
  readonly graceMs: number;
  /** Open connections may bring more requests until none came for so long. */
  readonly quietMs: number;
}

const stopDefaults: StopOptions = { graceMs: 10_000, quietMs: 100 };
const pollMs = 10;
/** Bodies are bounded per route before they are read; this bound only backs that up. */
const bodyBytesHardMax = 1 << 30;
const idleSeconds = 30;

export interface Door {
  readonly url: string;
  readonly port: number;
  /**
   * Stops listening, answers what is under way and what open connections still send, then
   * closes. True where everything was answered in time.
   */
  stop(options?: Partial<StopOptions>): Promise<boolean>;
}

function refuseOpenDoor({ host, hasToken }: ServeOptions): void {
  if (hasToken || isLoopback(host)) return;
  throw new RecError("REC_CONFIG_TOKEN", `listening on ${host} needs an API token`, {
    path: "API_TOKEN",
    fix: "set API_TOKEN to a long random text, or HOST to 127.0.0.1",
  });
}

function closing(answer: Response): Response {
  answer.headers.set("connection", "close");
  return answer;
}

export function serve(options: ServeOptions): Door {
  refuseOpenDoor(options);
  const { app, host, port } = options;
  let stopping = false;
  const server = Bun.serve({
    hostname: host,
    port,
    idleTimeout: idleSeconds,
    maxRequestBodySize: bodyBytesHardMax,
    async fetch(request) {
      const answer = await app.fetch(request);
      return stopping ? closing(answer) : answer;
    },
  });
  // The server counts a request until the last byte of its answer is with the system: a slow
  // reader's answer would be cut off by a close.
  const isAnswered = () => app.inFlight === 0 && server.pendingRequests === 0;
  const isQuiet = (quietMs: number) =>
    isAnswered() && performance.timeOrigin + performance.now() - app.lastSeenMs >= quietMs;
  return {
    url: server.url.origin,
    port: server.port ?? port,
    async stop(given = {}) {
      const { graceMs, quietMs } = { ...stopDefaults, ...given };
      stopping = true;
      // Stops listening at once; connections that are open keep being served until the silence.
      // `server.stop(false)` would close the idle ones now, and a request that is already on its
      // way over one of them would never be answered.
      if (refuseConnections(server.port ?? port) === 0) void server.stop(false);
      const endMs = performance.now() + graceMs;
      while (!isQuiet(quietMs) && performance.now() < endMs) await Bun.sleep(pollMs);
      const clean = isAnswered();
      await server.stop(true);
      return clean;
    },
  };
}

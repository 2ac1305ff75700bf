import type { Socket } from "bun";

/**
 * An HTTP load generator that costs little itself: kept connections, requests made beforehand as
 * bytes, of an answer only the status and the length are read.
 */

export interface Answer {
  readonly status: number;
  /** From the intended start, so that waiting for a free connection counts. */
  readonly latencyMs: number;
  /** The body's bytes where `keepBodies` was asked for; valid until the answer was taken. */
  readonly body: Uint8Array | null;
}

type Done = (answer: Answer) => void;

interface Pending {
  readonly request: Uint8Array;
  readonly intendedMs: number;
  readonly done: Done;
}

/** Bytes of a JSON request on a kept connection. */
export function httpRequest(
  method: "GET" | "POST" | "PUT",
  path: string,
  body?: unknown,
): Uint8Array {
  const text = body === undefined ? "" : JSON.stringify(body);
  const head = [
    `${method} ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    ...(body === undefined
      ? []
      : ["Content-Type: application/json", `Content-Length: ${Buffer.byteLength(text)}`]),
  ];
  return Buffer.from(`${head.join("\r\n")}\r\n\r\n${text}`);
}

const headEnd = Buffer.from("\r\n\r\n");
const nothing = Buffer.alloc(0);

class Connection {
  #socket: Socket | null = null;
  #received: Buffer = nothing;
  #unsent: Uint8Array | null = null;
  #pending: Pending | null = null;
  readonly #keepBodies: boolean;
  readonly #free: (connection: Connection) => void;

  constructor(keepBodies: boolean, free: (connection: Connection) => void) {
    this.#keepBodies = keepBodies;
    this.#free = free;
  }

  async connect(hostname: string, port: number): Promise<void> {
    const socket = await Bun.connect({
      hostname,
      port,
      socket: {
        data: (_socket, chunk) => this.#take(chunk),
        drain: () => this.#push(),
        close: () => this.#lost(),
        error: () => this.#lost(),
      },
    });
    socket.setNoDelay(true);
    this.#socket = socket;
  }

  get connected(): boolean {
    return this.#socket !== null;
  }

  send(pending: Pending): void {
    this.#pending = pending;
    this.#unsent = pending.request;
    this.#push();
  }

  close(): void {
    this.#pending = null;
    this.#socket?.end();
    this.#socket = null;
  }

  #push(): void {
    if (this.#unsent === null || this.#socket === null) return;
    const sent = this.#socket.write(this.#unsent);
    this.#unsent = sent >= this.#unsent.length ? null : this.#unsent.subarray(Math.max(0, sent));
  }

  #lost(): void {
    this.#socket = null;
    this.#received = nothing;
    if (this.#pending !== null) this.#finish(0, null);
  }

  #take(chunk: Buffer): void {
    // Usually an answer comes whole in one chunk, which then is not copied.
    const all = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const head = all.indexOf(headEnd);
    const text = head < 0 ? "" : all.toString("latin1", 0, head);
    const length = Number(/content-length: *(\d+)/i.exec(text)?.[1] ?? 0);
    const end = head + 4 + length;
    if (head < 0 || all.length < end) {
      this.#received = this.#received.length === 0 ? Buffer.from(chunk) : all;
      return;
    }
    this.#received = nothing;
    this.#finish(Number(text.slice(9, 12)), this.#keepBodies ? all.subarray(head + 4, end) : null);
  }

  #finish(status: number, body: Uint8Array | null): void {
    const pending = this.#pending;
    this.#pending = null;
    if (pending === null) return;
    this.#free(this);
    pending.done({ status, latencyMs: performance.now() - pending.intendedMs, body });
  }
}

export interface LoadOptions {
  readonly port: number;
  readonly hostname?: string;
  readonly connectionsMax?: number;
  readonly keepBodies?: boolean;
}

/** A pool of connections with one request each at a time; what finds none free waits in line. */
export class LoadClient {
  readonly #options: Required<LoadOptions>;
  readonly #idle: Connection[] = [];
  readonly #all: Connection[] = [];
  #line: Pending[] = [];
  #lineFrom = 0;

  constructor(options: LoadOptions) {
    this.#options = { hostname: "127.0.0.1", connectionsMax: 256, keepBodies: false, ...options };
  }

  /** Opens the connections beforehand, so that none is opened under the measurement. */
  async open(count = this.#options.connectionsMax): Promise<void> {
    const { hostname, port, keepBodies } = this.#options;
    for (let i = 0; i < count; i++) {
      const connection = new Connection(keepBodies, (free) => this.#freed(free));
      await connection.connect(hostname, port);
      this.#all.push(connection);
      this.#idle.push(connection);
    }
  }

  /** Status 0 in the answer: the connection was lost. */
  send(request: Uint8Array, intendedMs: number, done: Done): void {
    const pending = { request, intendedMs, done };
    let connection = this.#idle.pop();
    while (connection !== undefined && !connection.connected) {
      // The server closed it while it was idle.
      void this.#reconnect(connection);
      connection = this.#idle.pop();
    }
    if (connection === undefined) this.#line.push(pending);
    else connection.send(pending);
  }

  request(request: Uint8Array): Promise<Answer> {
    return new Promise((resolve) => {
      this.send(request, performance.now(), (answer) => {
        resolve({ ...answer, body: answer.body === null ? null : answer.body.slice() });
      });
    });
  }

  close(): void {
    for (const connection of this.#all) connection.close();
    this.#all.length = this.#idle.length = 0;
  }

  #freed(connection: Connection): void {
    if (!connection.connected) {
      void this.#reconnect(connection);
      return;
    }
    const next = this.#line[this.#lineFrom];
    if (next === undefined) {
      this.#idle.push(connection);
      return;
    }
    this.#lineFrom++;
    if (this.#lineFrom > 1_024) {
      this.#line = this.#line.slice(this.#lineFrom);
      this.#lineFrom = 0;
    }
    // Not at once: the answer just read is to be reported first.
    queueMicrotask(() => connection.send(next));
  }

  async #reconnect(connection: Connection): Promise<void> {
    const { hostname, port } = this.#options;
    try {
      await connection.connect(hostname, port);
      this.#freed(connection);
    } catch {
      setTimeout(() => void this.#reconnect(connection), 50);
    }
  }
}

/** One answer of a run. `atMs`: intended start since the beginning of the run. */
export interface Sample {
  readonly atMs: number;
  readonly status: number;
  readonly latencyMs: number;
  /** A 200, and where the run judges answers, one that passed. */
  readonly good: boolean;
}

export interface LoadResult {
  readonly samples: readonly Sample[];
  readonly seconds: number;
  /** How late the client itself was in sending; more than a millisecond or two spoils a run. */
  readonly clientLateMs: readonly number[];
}

const isOk = ({ status }: Answer) => status === 200;

/**
 * Sends at fixed moments, whatever the answers do (open loop), and waits up to `drainMs` for the
 * last ones; requests never answered count as lost (status 0).
 */
export async function openLoop(
  client: LoadClient,
  options: {
    ratePerSecond: number;
    seconds: number;
    next: (index: number) => Uint8Array;
    drainMs?: number;
    isGood?: (answer: Answer) => boolean;
  },
): Promise<LoadResult> {
  const { ratePerSecond, seconds, next, drainMs = 3_000, isGood = isOk } = options;
  const total = Math.max(1, Math.round(ratePerSecond * seconds));
  const samples: Sample[] = [];
  const clientLateMs: number[] = [];
  const startMs = performance.now() + 5;
  for (let sent = 0; sent < total; ) {
    const now = performance.now();
    for (; sent < total; sent++) {
      const atMs = (sent * 1_000) / ratePerSecond;
      if (startMs + atMs > now) break;
      clientLateMs.push(now - startMs - atMs);
      client.send(next(sent), startMs + atMs, (answer) => {
        const { status, latencyMs } = answer;
        samples.push({ atMs, status, latencyMs, good: isGood(answer) });
      });
    }
    await Bun.sleep(1);
  }
  const untilMs = performance.now() + drainMs;
  while (samples.length < total && performance.now() < untilMs) await Bun.sleep(5);
  const lost = Array.from({ length: total - samples.length }, () => ({
    ...{ atMs: seconds * 1_000, status: 0, latencyMs: drainMs, good: false },
  }));
  return { samples: [...samples, ...lost], seconds, clientLateMs };
}

/** So many users, each asking again as soon as she is answered (closed loop). */
export async function closedLoop(
  client: LoadClient,
  options: { users: number; seconds: number; next: (index: number) => Uint8Array },
): Promise<LoadResult> {
  const samples: Sample[] = [];
  const startMs = performance.now();
  const endMs = startMs + options.seconds * 1_000;
  let index = 0;
  const live = async () => {
    while (performance.now() < endMs) {
      const atMs = performance.now() - startMs;
      const { status, latencyMs } = await client.request(options.next(index++));
      samples.push({ atMs, status, latencyMs, good: status === 200 });
    }
  };
  await Promise.all(Array.from({ length: options.users }, live));
  return { samples, seconds: (performance.now() - startMs) / 1_000, clientLateMs: [] };
}

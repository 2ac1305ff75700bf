import { RecError } from "../models/core/errors.ts";

/** One HTTP request on a connection of its own, byte for byte as given: no client mends it. */

export interface RawCall {
  readonly method: string;
  readonly path: string;
  readonly body: string | Uint8Array | null;
  /** These win over the ones that the body and the connection need. */
  readonly headers: Readonly<Record<string, string>>;
  /** In chunks of 1 MB and without a length. */
  readonly chunked?: boolean;
}

export interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

const chunkBytes = 1 << 20;
const answerMsMax = 30_000;

function headOf({ method, path, headers, chunked }: RawCall, body: Uint8Array | null): string {
  const length = chunked ? { "transfer-encoding": "chunked" } : lengthOf(body);
  const type = body === null ? {} : { "content-type": "application/json" };
  const all = { host: "127.0.0.1", ...type, ...length, ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

function lengthOf(body: Uint8Array | null): Record<string, string> {
  return body === null ? {} : { "content-length": `${body.length}` };
}

/** The pieces to write, one after another. */
function* piecesOf(call: RawCall): Generator<Uint8Array> {
  const body = call.body === null ? null : Buffer.from(call.body);
  yield Buffer.from(headOf(call, body));
  if (body === null) return;
  if (!call.chunked) {
    yield body;
    return;
  }
  for (let from = 0; from < body.length; from += chunkBytes) {
    const part = body.subarray(from, from + chunkBytes);
    yield Buffer.concat([
      Buffer.from(`${part.length.toString(16)}\r\n`),
      part,
      Buffer.from("\r\n"),
    ]);
  }
  yield Buffer.from("0\r\n\r\n");
}

/** The answer once it is complete by its content length; null before. */
function answerIn(received: Buffer): RawAnswer | null {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const head = received.toString("latin1", 0, end);
  const length = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  if (received.length < end + 4 + length) return null;
  const text = received.toString("utf8", end + 4, end + 4 + length);
  return { status: Number(head.slice(9, 12)), text };
}

/** Sends until all is sent or the answer is there; resolves with the answer. */
export async function sendRaw(port: number, call: RawCall): Promise<RawAnswer> {
  const answered = Promise.withResolvers<RawAnswer>();
  const lost = (why: string) =>
    answered.reject(new RecError("REC_BENCH_LOST", `${call.method} ${call.path}: ${why}`));
  let received = Buffer.alloc(0);
  let drained = Promise.withResolvers<void>();
  let done = false;
  const socket = await Bun.connect({
    ...{ hostname: "127.0.0.1", port },
    socket: {
      data(_socket, chunk) {
        received = Buffer.concat([received, chunk]);
        const answer = answerIn(received);
        if (answer !== null) answered.resolve(answer);
      },
      drain: () => drained.resolve(),
      close: () => lost("closed without an answer"),
      error: (_socket, error) => lost(error.message),
    },
  });
  const timer = setTimeout(() => lost("no answer in time"), answerMsMax);
  const ended = answered.promise.finally(() => {
    done = true;
  });
  ended.catch(() => undefined);
  for (const piece of piecesOf(call)) {
    for (let at = 0; at < piece.length && !done; ) {
      drained = Promise.withResolvers<void>();
      at += Math.max(0, socket.write(piece.subarray(at)));
      if (at < piece.length) await Promise.race([drained.promise, ended]);
    }
  }
  try {
    return await ended;
  } finally {
    clearTimeout(timer);
    socket.terminate();
  }
}

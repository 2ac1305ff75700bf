import type { Socket } from "bun";
import { httpRequest } from "../open-loop.ts";

/** `refused`: nobody listens any more. `lost`: the request had been sent, no answer came. */
export type Reply =
  | { readonly kind: "answered"; readonly status: number; readonly text: string }
  | { readonly kind: "refused" }
  | { readonly kind: "lost" };

const headEnd = Buffer.from("\r\n\r\n");

/**
 * One connection with one request at a time, and no retries: what becomes of each request is told
 * as it was. After an answer that closes the connection the next request opens another.
 */
export class KeptConnection {
  readonly #port: number;
  #socket: Socket | null = null;
  #received = Buffer.alloc(0);
  #unsent: Uint8Array = new Uint8Array(0);
  #reply: ((reply: Reply) => void) | null = null;

  constructor(port: number) {
    this.#port = port;
  }

  async send(method: "GET" | "POST" | "PUT", path: string, body?: unknown): Promise<Reply> {
    if (this.#socket === null && !(await this.#connect())) return { kind: "refused" };
    return await new Promise((resolve) => {
      this.#reply = resolve;
      this.#unsent = httpRequest(method, path, body);
      this.#push();
    });
  }

  close(): void {
    const socket = this.#socket;
    // First: the end of it may be told at once, and is not a loss.
    this.#socket = null;
    socket?.end();
  }

  async #connect(): Promise<boolean> {
    const lost = (socket: Socket) => this.#lost(socket);
    try {
      this.#socket = await Bun.connect({
        hostname: "127.0.0.1",
        port: this.#port,
        socket: {
          data: (_socket, chunk) => this.#take(chunk),
          drain: () => this.#push(),
          ...{ close: lost, error: lost, end: lost },
        },
      });
      return true;
    } catch {
      return false;
    }
  }

  #push(): void {
    if (this.#unsent.length === 0 || this.#socket === null) return;
    this.#unsent = this.#unsent.subarray(Math.max(0, this.#socket.write(this.#unsent)));
  }

  #lost(socket: Socket): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    this.#received = Buffer.alloc(0);
    this.#settle({ kind: "lost" });
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    const head = this.#received.indexOf(headEnd);
    if (head < 0) return;
    const text = this.#received.toString("latin1", 0, head);
    const end = head + 4 + Number(/content-length: *(\d+)/i.exec(text)?.[1] ?? 0);
    if (this.#received.length < end) return;
    const body = this.#received.toString("utf8", head + 4, end);
    this.#received = Buffer.alloc(0);
    if (/connection: *close/i.test(text)) this.close();
    this.#settle({ kind: "answered", status: Number(text.slice(9, 12)), text: body });
  }

  #settle(reply: Reply): void {
    const done = this.#reply;
    this.#reply = null;
    done?.(reply);
  }
}

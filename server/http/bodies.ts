import { RecError } from "../../models/core/errors.ts";
import { limits } from "../../models/limits.ts";
import { readBody } from "./body.ts";
import { Overdue } from "./overdue.ts";
import type { MetricSink } from "./ports.ts";

export interface BodiesOptions {
  readonly metrics: MetricSink;
  readonly readingMax?: number;
  readonly bytesMax?: number;
  readonly withinMs?: number;
}

/** Smaller bodies pass by the bound on bytes: a few that drip large ones must not shut all out. */
const smallBytes = 64 << 10;

/**
 * The bodies that are coming in. A client may send a body as slowly as it likes, and holds a
 * connection and what it sent until then: their number, their sizes and their time are bounded.
 */
export class Bodies {
  readonly #options: Required<BodiesOptions>;
  readonly #overdue = new Overdue();
  #reading = 0;
  #bytes = 0;

  constructor(options: BodiesOptions) {
    const { bodiesReadingMax, bodiesReadingBytesMax, bodyMsMax } = limits;
    const defaults = { readingMax: bodiesReadingMax, bytesMax: bodiesReadingBytesMax };
    this.#options = { ...defaults, withinMs: bodyMsMax, ...options };
  }

  /**
   * The whole body, at most `bytesMax`, of which `declared` are expected. Throws REC_HTTP_BUSY
   * where too much is coming in, REC_HTTP_BODY_SLOW where this one takes too long.
   */
  async read(request: Request, bytesMax: number, declared: number): Promise<Uint8Array> {
    this.#refuseOver(declared);
    this.#reading++;
    this.#bytes += declared;
    try {
      const { withinMs } = this.#options;
      return await this.#overdue.watch(readBody(request, bytesMax), withinMs, () => this.#late());
    } finally {
      this.#reading--;
      this.#bytes -= declared;
    }
  }

  #refuseOver(declared: number): void {
    const { readingMax, bytesMax, metrics } = this.#options;
    const many = this.#reading >= readingMax;
    if (!many && (declared <= smallBytes || this.#bytes + declared <= bytesMax)) return;
    const limit = many ? "bodiesReadingMax" : "bodiesReadingBytesMax";
    metrics.add(`rec_limit_reached_total{limit="${limit}"}`, 1);
    throw new RecError("REC_HTTP_BUSY", "too many bodies are coming in; try again later");
  }

  #late(): RecError {
    const { metrics, withinMs } = this.#options;
    metrics.add('rec_limit_reached_total{limit="bodyMsMax"}', 1);
    const message = `the body did not come in within ${withinMs} ms`;
    return new RecError("REC_HTTP_BODY_SLOW", message, { path: "body" });
  }
}

import { RecError } from "../../models/core/errors.ts";
import type {
  ClientEvent,
  ItemDocument,
  RecommendAnswer,
  RecommenderUnderTest,
  RecommendRequest,
} from "./port.ts";

export interface HttpRecommenderOptions {
  /** Such as `http://127.0.0.1:3000`. */
  readonly url: string;
  readonly token?: string;
  /** A call that takes longer has failed. */
  readonly timeoutMs?: number;
  /** Times that a refused (503) or failed batch of events or items is sent again. */
  readonly retries?: number;
}

/** The v1 contract over HTTP, on kept connections. */
export class HttpRecommender implements RecommenderUnderTest {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #timeoutMs: number;
  readonly #retries: number;

  constructor(options: HttpRecommenderOptions) {
    this.#url = options.url.replace(/\/+$/, "");
    this.#timeoutMs = options.timeoutMs ?? 5_000;
    this.#retries = options.retries ?? 5;
    const token = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
    this.#headers = { "content-type": "application/json", ...token };
  }

  async recommend(request: RecommendRequest): Promise<RecommendAnswer> {
    const answer = await this.#post("/v1/recommend", JSON.stringify(request));
    if (isAnswer(answer)) return answer;
    throw new RecError("REC_SIMULATOR_ANSWER", "the answer to /v1/recommend has no slate");
  }

  async events(batch: readonly ClientEvent[]): Promise<void> {
    await this.#postAgain("/v1/events", JSON.stringify(batch));
  }

  async items(batch: readonly ItemDocument[]): Promise<void> {
    await this.#postAgain("/v1/items", JSON.stringify(batch));
  }

  /** The text of a GET, such as `/metrics`. */
  async text(path: string): Promise<string> {
    const signal = AbortSignal.timeout(this.#timeoutMs);
    const response = await fetch(this.#url + path, { headers: this.#headers, signal });
    return await response.text();
  }

  /** Batches carry ids, so sending one again after a lost answer changes nothing. */
  async #postAgain(path: string, body: string): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#post(path, body);
        return;
      } catch (error) {
        const final = error instanceof RecError && error.code === "REC_SIMULATOR_REFUSED";
        if (final || attempt >= this.#retries) throw error;
        await Bun.sleep(50 * 2 ** attempt);
      }
    }
  }

  async #post(path: string, body: string): Promise<unknown> {
    const signal = AbortSignal.timeout(this.#timeoutMs);
    const init = { method: "POST", headers: this.#headers, body, signal };
    const response = await fetch(this.#url + path, init);
    if (response.ok) return await response.json();
    const text = (await response.text()).slice(0, 200);
    const code = response.status < 500 ? "REC_SIMULATOR_REFUSED" : "REC_SIMULATOR_BUSY";
    throw new RecError(code, `${path} answered ${response.status}: ${text}`);
  }
}

function isAnswer(value: unknown): value is RecommendAnswer {
  if (typeof value !== "object" || value === null) return false;
  if (!("requestId" in value) || typeof value.requestId !== "string") return false;
  if (!("items" in value) || !Array.isArray(value.items)) return false;
  return value.items.every((item) => typeof item === "object" && typeof item?.id === "string");
}

/** Samples of a Prometheus text by full name with labels; a few lines of interest each time. */
export function parseMetrics(text: string): Map<string, number> {
  const out = new Map<string, number>();
  for (const line of text.split("\n")) {
    const at = line.lastIndexOf(" ");
    if (line.startsWith("#") || at <= 0) continue;
    out.set(line.slice(0, at).trim(), Number(line.slice(at + 1)));
  }
  return out;
}

import { RecError } from "../../models/core/errors.ts";

/** Answers by Idempotency-Key: a repeat gets the first answer, also while that is under way. */
export class IdempotencyKeys<T> {
  readonly #keysMax: number;
  /** In order of first use: the oldest key goes first. */
  readonly #answers = new Map<string, { bodyHash: bigint; answer: Promise<T> }>();

  readonly #onForget: () => void;

  /** `onForget` is called for every key that had to make room. */
  constructor(keysMax: number, onForget: () => void) {
    this.#keysMax = keysMax;
    this.#onForget = onForget;
  }

  /** Runs `work` once for a key. Another body under a known key throws REC_EVENTS_KEY_REUSED. */
  async once(key: string, body: Uint8Array, work: () => Promise<T>): Promise<T> {
    const bodyHash = BigInt(Bun.hash(body));
    const known = this.#answers.get(key);
    if (known !== undefined) {
      if (known.bodyHash === bodyHash) return await known.answer;
      throw new RecError("REC_EVENTS_KEY_REUSED", "the key came with another body before", {
        path: "header.idempotency-key",
      });
    }
    const answer = work();
    this.#answers.set(key, { bodyHash, answer });
    if (this.#answers.size > this.#keysMax) this.#forgetOldest();
    try {
      return await answer;
    } catch (thrown) {
      // A batch that failed was not kept: the client may try again.
      this.#answers.delete(key);
      throw thrown;
    }
  }

  #forgetOldest(): void {
    for (const key of this.#answers.keys()) {
      this.#answers.delete(key);
      this.#onForget();
      return;
    }
  }
}

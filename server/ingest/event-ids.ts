import { hash128, type Id128 } from "../../models/core/bytes.ts";
import type { CheckedEvent } from "./validate.ts";

/**
 * The identity of an event. Given ids are hashed. Without one, content with its client time and
 * the ordinal among equals of the batch is the identity, so that a repeat of the batch is a
 * duplicate. Without a time as well an event is always new, unless an Idempotency-Key stands for
 * its batch. Made texts hold a NUL, which no given id can.
 */
export class EventIds {
  readonly #idempotencyKey: string | null;
  readonly #randomId: () => Id128;
  #equals: Map<string, number> | null = null;

  /** One for each batch. */
  constructor(idempotencyKey: string | null, randomId: () => Id128) {
    this.#idempotencyKey = idempotencyKey;
    this.#randomId = randomId;
  }

  /** `index` is the event's place in the batch. */
  idOf(event: CheckedEvent, index: number): Id128 {
    if (event.id !== undefined) return hash128(event.id);
    if (event.timeMs !== undefined) return hash128(this.#contentOf(event));
    if (this.#idempotencyKey !== null) {
      return hash128(`key\u0000${this.#idempotencyKey}\u0000${index}`);
    }
    return this.#randomId();
  }

  #contentOf(event: CheckedEvent): string {
    const { type, user, item, timeMs, value, requestId } = event;
    const subject = `${type}\u0000${user}\u0000${item}`;
    const content = `${subject}\u0000${timeMs}\u0000${value}\u0000${requestId}`;
    this.#equals ??= new Map();
    const ordinal = this.#equals.get(content) ?? 0;
    this.#equals.set(content, ordinal + 1);
    return `${content}\u0000${ordinal}`;
  }
}

const pool = new Uint32Array(4_096);
let used = pool.length;

/** 128 random bits, drawn from the system in blocks; the last word is never zero. */
export function randomId128(): Id128 {
  if (used === pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  used += 4;
  return [pool[used - 4]!, pool[used - 3]!, pool[used - 2]!, (pool[used - 1]! | 1) >>> 0];
}

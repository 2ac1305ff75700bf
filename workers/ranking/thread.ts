import { utf8 } from "../../models/core/bytes.ts";
import type { Clock } from "../../models/core/clock.ts";
import { messageOf, RecError } from "../../models/core/errors.ts";
import type { SharedMetrics } from "../../native/index.ts";
import { AnswerFreshness } from "../freshness.ts";
import { callingThread } from "../thread-usage.ts";
import { callTimes, decodeCall } from "./call-codec.ts";
import { Heart } from "./heartbeat.ts";
import {
  type AnswerKind,
  answerKinds,
  type BootMessage,
  type GenerationMessage,
  type MessageFromThread,
  type MessageToThread,
  type RankingCall,
} from "./messages.ts";
import { Ring } from "./ring.ts";

/** What a thread's entry file serves calls with. */
export interface CallHandler {
  /** JSON bytes of the answer; a RecError refuses, anything else thrown makes a fallback. */
  answer(call: RankingCall, deadlineAtMs: number): Uint8Array | Promise<Uint8Array>;
  generation(message: GenerationMessage): void;
  documentsChanged(rows: readonly number[]): void;
  /** Flushes and closes; the thread ends afterwards. */
  close(): Promise<void>;
  readonly metrics: Pick<SharedMetrics, "observe" | "takeHeld">;
  readonly clock: Clock;
  /** Calls that may be under way at a time. */
  readonly parallel: number;
}

declare const self: Worker;

/** Beats while idle; also the timer that keeps the thread alive: a pending waitAsync does not. */
const beatMs = 50;
/** Messages and timers get their turn at least so often. */
const sliceMs = 5;

/** The entry of a ranking thread: builds its handler from the boot message, then serves calls. */
export function serveCalls<Work>(build: (boot: BootMessage<Work>) => Promise<CallHandler>): void {
  let server: CallServer | null = null;
  self.onmessage = (event: MessageEvent<MessageToThread<Work>>) => {
    const message = event.data;
    if (message.type === "boot") {
      void build(message).then((handler) => {
        server = new CallServer(message.channels, handler);
        server.start();
      }, fail);
    } else server?.take(message);
  };
}

/** A rejected promise would only be printed: thrown from a task it ends the thread. */
function fail(error: unknown): void {
  setTimeout(() => {
    throw error;
  });
}

class CallServer {
  readonly #handler: CallHandler;
  readonly #freshness: AnswerFreshness;
  readonly #requests: Ring;
  readonly #answers: Ring;
  readonly #heart: Heart;
  readonly #wakeFrontEnd: Int32Array;
  #running = 0;
  #stopping = false;
  /** Wakes the loop when a call that was waited for is over. */
  #callEnded: () => void = () => {};

  constructor(channels: BootMessage<unknown>["channels"], handler: CallHandler) {
    this.#handler = handler;
    this.#freshness = new AnswerFreshness(handler.metrics);
    this.#requests = new Ring(channels.requests);
    this.#answers = new Ring(channels.answers);
    this.#heart = new Heart(channels.heartbeat, callingThread());
    this.#wakeFrontEnd = new Int32Array(channels.wakeFrontEnd);
  }

  start(): void {
    setInterval(() => this.#heart.beat(), beatMs);
    this.#post({ type: "ready" });
    this.#loop().catch(fail);
  }

  take(message: Exclude<MessageToThread<unknown>, { type: "boot" }>): void {
    if (message.type === "call") this.#begin(message.sequence, message.bytes);
    else if (message.type === "generation") this.#handler.generation(message);
    else if (message.type === "documents") this.#handler.documentsChanged(message.rows);
    else {
      this.#stopping = true;
      this.#requests.wake();
    }
  }

  async #loop(): Promise<void> {
    for (;;) {
      const seen = this.#requests.wakeCount();
      const idle = this.#drain();
      if (idle && this.#stopping && this.#running === 0) break;
      if (!idle) await new Promise<void>((resolve) => setImmediate(resolve));
      else if (this.#running < this.#handler.parallel) await this.#requests.waitForWake(seen);
      else await new Promise<void>((resolve) => (this.#callEnded = resolve));
    }
    await this.#handler.close();
    process.exit(0);
  }

  /** Serves what is there, for a slice of time; true when nothing more can be taken. */
  #drain(): boolean {
    const until = performance.now() + sliceMs;
    while (this.#running < this.#handler.parallel) {
      const record = this.#requests.read();
      if (record === null) return true;
      this.#begin(record.sequence, record.bytes);
      if (performance.now() > until) return false;
    }
    return true;
  }

  #begin(sequence: number, bytes: Uint8Array): void {
    const { metrics, clock } = this.#handler;
    const { enqueuedAtMs, deadlineAtMs } = callTimes(bytes);
    const startMs = clock.nowMs();
    this.#heart.beat();
    metrics.observe("rec_ranking_queue_wait_ms", Math.max(0, startMs - enqueuedAtMs));
    // The front end has answered it already: work on it would only delay the others.
    if (startMs >= deadlineAtMs) this.#end(sequence, answerKinds.expired, none);
    else this.#answer(sequence, startMs, bytes);
  }

  #answer(sequence: number, startMs: number, bytes: Uint8Array): void {
    try {
      this.#freshness.begin(startMs);
      const { call, deadlineAtMs } = decodeCall(bytes);
      const answer = this.#handler.answer(call, deadlineAtMs);
      if (answer instanceof Promise) this.#await(sequence, startMs, answer);
      else this.#answered(sequence, startMs, answer);
    } catch (error) {
      this.#refuse(sequence, error);
    }
  }

  #await(sequence: number, startMs: number, answer: Promise<Uint8Array>): void {
    this.#running++;
    const ended = () => {
      this.#running--;
      this.#callEnded();
      if (this.#stopping) this.#requests.wake();
    };
    answer
      .then(
        (bytes) => this.#answered(sequence, startMs, bytes),
        (error: unknown) => this.#refuse(sequence, error),
      )
      .finally(ended);
  }

  #answered(sequence: number, startMs: number, bytes: Uint8Array): void {
    const { metrics, clock } = this.#handler;
    const nowMs = clock.nowMs();
    metrics.observe("rec_ranking_run_ms", Math.max(0, nowMs - startMs));
    this.#freshness.end(startMs, nowMs);
    this.#end(sequence, answerKinds.bytes, bytes);
  }

  #refuse(sequence: number, error: unknown): void {
    if (error instanceof RecError) {
      const { code, message, path } = error;
      this.#end(sequence, answerKinds.refused, utf8(JSON.stringify({ code, message, path })));
    } else this.#end(sequence, answerKinds.failed, utf8(messageOf(error)));
  }

  #end(sequence: number, kind: AnswerKind, bytes: Uint8Array): void {
    if (!this.#answers.write(kind, sequence, bytes)) {
      // Larger than what is free in the ring: rare enough for a message.
      this.#post({ type: "answer", sequence, kind, bytes });
      return;
    }
    Atomics.add(this.#wakeFrontEnd, 0, 1);
    Atomics.notify(this.#wakeFrontEnd, 0);
  }

  #post(message: MessageFromThread): void {
    self.postMessage(message);
  }
}

const none = new Uint8Array(0);

import { HeartWatch } from "./heartbeat.ts";
import type {
  AnswerMessage,
  BootMessage,
  MessageFromThread,
  MessageToThread,
  RankingCall,
} from "./messages.ts";
import { Ring } from "./ring.ts";

/** A request that a thread is working on. */
export interface Pending {
  readonly call: RankingCall;
  readonly deadlineAtMs: number;
  resolve(bytes: Uint8Array): void;
  reject(error: unknown): void;
}

export interface LaneEvents<Work> {
  ready(lane: Lane<Work>): void;
  answer(lane: Lane<Work>, message: Omit<AnswerMessage, "type">): void;
  /** The thread threw: it is of no more use. */
  failed(lane: Lane<Work>, reason: string): void;
  /** The thread is surely gone. */
  closed(lane: Lane<Work>): void;
}

const requestRingBytes = 1 << 20;
const answerRingBytes = 1 << 21;

/** The front end's side of one thread: its rings, its heartbeat, the requests it holds. */
export class Lane<Work> {
  readonly index: number;
  readonly readerBase: number;
  readonly inFlight = new Map<number, Pending>();
  /** `warm`: it could take requests, but the one before it is not surely gone. */
  state: "starting" | "warm" | "ready" | "lost" | "stopping" = "starting";
  readonly heart: HeartWatch;
  readonly #worker: Worker;
  readonly #requests = Ring.create(requestRingBytes);
  readonly #answers = Ring.create(answerRingBytes);
  #wakes = false;

  constructor(options: {
    entry: URL;
    boot: Omit<BootMessage<Work>, "type" | "channels">;
    wakeFrontEnd: SharedArrayBuffer;
    nowMs: number;
    events: LaneEvents<Work>;
  }) {
    const { entry, boot, wakeFrontEnd, nowMs, events } = options;
    this.index = boot.worker;
    this.readerBase = boot.readerBase;
    this.heart = new HeartWatch(nowMs);
    // A small heap: collected more often, for half the memory a thread.
    this.#worker = new Worker(entry.href, { smol: true });
    this.#listen(events);
    const channels = {
      requests: this.#requests.buffer,
      answers: this.#answers.buffer,
      heartbeat: this.heart.shared,
      wakeFrontEnd,
    };
    this.post({ type: "boot", channels, ...boot });
  }

  #listen(events: LaneEvents<Work>): void {
    this.#worker.onmessage = (event: MessageEvent<MessageFromThread>) => {
      const message = event.data;
      if (message.type === "answer") events.answer(this, message);
      else events.ready(this);
    };
    this.#worker.onerror = (event) => {
      // Otherwise the error would be thrown in the front end too.
      event.preventDefault();
      events.failed(this, event.message);
    };
    this.#worker.addEventListener("close", () => events.closed(this));
  }

  post(message: MessageToThread<Work>): void {
    this.#worker.postMessage(message);
  }

  /** Hands a request over; the thread is woken once for all requests of this turn. */
  send(sequence: number, bytes: Uint8Array): void {
    if (!this.#requests.write(0, sequence, bytes)) {
      this.post({ type: "call", sequence, bytes });
      return;
    }
    if (this.#wakes) return;
    this.#wakes = true;
    queueMicrotask(() => {
      this.#wakes = false;
      this.#requests.wake();
    });
  }

  /** Gives every answer that is there to `take`. */
  drain(take: (message: Omit<AnswerMessage, "type">) => void): void {
    for (let record = this.#answers.read(); record !== null; record = this.#answers.read()) {
      const { sequence, kind, bytes } = record;
      if (kind === 1 || kind === 2 || kind === 3 || kind === 4) take({ sequence, kind, bytes });
    }
  }

  terminate(): void {
    this.#worker.terminate();
  }
}

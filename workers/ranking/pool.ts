import type { Clock } from "../../models/core/clock.ts";
import { RecError } from "../../models/core/errors.ts";
import type { IndexGeneration } from "../../models/recall/generation.ts";
import { encodeCall } from "./call-codec.ts";
import { Lane, type LaneEvents, type Pending } from "./lane.ts";
import {
  type AnswerMessage,
  answerKinds,
  type PopularRequest,
  type RankingCall,
  type RankRequest,
  type RecommendRequest,
  type SimilarRequest,
} from "./messages.ts";
import { refusalOf } from "./refusal.ts";
import { waitForChange } from "./ring.ts";
import type { Metrics } from "./state.ts";

export interface RankingPoolOptions<Work> {
  /** The threads' entry file. */
  readonly entry: URL;
  readonly workers: number;
  /** What a thread needs to build its engine; asked for at every start. */
  readonly work: () => Work;
  /** Requests that one thread may have under way, each with a reader number of its own. */
  readonly readersPerWorker: number;
  /** Reader numbers that the pool may use, from `readerBase` on. */
  readonly readerBase: number;
  readonly readersMax: number;
  /** Requests that wait or run; more are refused with REC_HTTP_BUSY. */
  readonly inFlightMax: number;
  /** JSON bytes of an answer without any thread; must not throw. */
  readonly fallback: (call: RankingCall) => Uint8Array;
  /** Drops the pins of a thread that is surely gone. */
  readonly clearReader: (reader: number) => void;
  /** Lets the next thread of that number write what one wrote that is surely gone. */
  readonly releaseServed: (worker: number) => void;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly onLoss?: (worker: number, reason: string) => void;
}

/** How often heartbeats are looked at. */
const checkMs = 50;
/** How often deadlines are looked at, and how long after one the fallback answers. */
const sweepMs = 5;
const graceMs = 3;
/** A lost thread that is not gone by then keeps its claims; the next one answers without them. */
const goneMsMax = 1_000;
const backoffMs = [0, 50, 200, 1_000, 5_000] as const;
/** A thread that lived so long was not born broken. */
const healthyMs = 1_500;

interface Slot<Work> {
  lane: Lane<Work>;
  startedAtMs: number;
  failures: number;
}

/**
 * The front end's side of the ranking threads: hands requests over, answers those whose thread is
 * late, threw, hangs or died from the fallback, and replaces such a thread.
 */
export class RankingPool<Work> {
  readonly #options: RankingPoolOptions<Work>;
  readonly #slots: Slot<Work>[] = [];
  readonly #wake = new SharedArrayBuffer(4);
  readonly #wakeWords = new Int32Array(this.#wake);
  readonly #events: LaneEvents<Work>;
  readonly #freeReaders: number[] = [];
  /** Lanes whose thread is not surely gone. */
  readonly #leaving = new Set<Lane<Work>>();
  /** Starts that wait for reader numbers. */
  readonly #held: (() => void)[] = [];
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  #sequence = 0;
  #inFlight = 0;
  #generation: IndexGeneration | null = null;
  #checkedAtMs = 0;
  #stopping = false;
  #replaced = 0;

  constructor(options: RankingPoolOptions<Work>) {
    this.#options = options;
    const { readerBase, readersMax, readersPerWorker, workers } = options;
    for (let base = 0; base + readersPerWorker <= readersMax; base += readersPerWorker) {
      this.#freeReaders.push(readerBase + base);
    }
    this.#events = {
      ready: (lane) => this.#ready(lane),
      answer: (lane, message) => this.#take(lane, message),
      failed: (lane, reason) => this.#lose(lane, reason),
      closed: (lane) => this.#closed(lane),
    };
    for (let i = 0; i < workers; i++) this.#slots.push(this.#slot(i, 0));
    this.#timers.push(setInterval(() => this.#check(), checkMs));
    this.#timers.push(setInterval(() => this.#sweep(), sweepMs));
    this.#checkedAtMs = options.clock.nowMs();
    void this.#receive();
  }

  recommend(request: RecommendRequest, deadlineAtMs: number): Promise<Uint8Array> {
    return this.#call({ kind: "recommend", request }, deadlineAtMs);
  }

  rank(request: RankRequest, deadlineAtMs: number): Promise<Uint8Array> {
    return this.#call({ kind: "rank", request }, deadlineAtMs);
  }

  similar(request: SimilarRequest, deadlineAtMs: number): Promise<Uint8Array> {
    return this.#call({ kind: "similar", request }, deadlineAtMs);
  }

  popular(request: PopularRequest, deadlineAtMs: number): Promise<Uint8Array> {
    return this.#call({ kind: "popular", request }, deadlineAtMs);
  }

  /** Every thread takes requests. */
  get ready(): boolean {
    return this.#slots.every(({ lane }) => lane.state === "ready");
  }

  /** Requests that wait or run: the signal of overload. */
  get queueLength(): number {
    return this.#inFlight;
  }

  /** Threads replaced so far. */
  get replaced(): number {
    return this.#replaced;
  }

  /** Hands a generation to every thread, and to those that start later. */
  publishGeneration(generation: IndexGeneration): void {
    this.#generation = generation;
    for (const { lane } of this.#slots) {
      if (lane.state === "ready") lane.post({ type: "generation", generation });
    }
  }

  documentsChanged(rows: readonly number[]): void {
    for (const { lane } of this.#slots) lane.post({ type: "documents", rows });
  }

  /** Lets the threads finish, flush and leave; resolves when all have or time is up. */
  async stop(timeoutMs: number): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    for (const { lane } of this.#slots) {
      this.#leaving.add(lane);
      lane.state = "stopping";
      lane.post({ type: "stop" });
    }
    const until = this.#options.clock.nowMs() + timeoutMs;
    while (this.#leaving.size > 0 && this.#options.clock.nowMs() < until) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    for (const { lane } of this.#slots) {
      this.#fallBack(lane);
      lane.terminate();
    }
    for (const timer of this.#timers) clearInterval(timer);
    Atomics.add(this.#wakeWords, 0, 1);
    Atomics.notify(this.#wakeWords, 0);
  }

  #slot(index: number, failures: number): Slot<Work> {
    const { entry, clock, work, readersPerWorker } = this.#options;
    const readerBase = this.#freeReaders.shift();
    if (readerBase === undefined) {
      throw new RecError("REC_RANKING_READERS", "no reader numbers are left for a ranking thread");
    }
    const nowMs = clock.nowMs();
    const readers = readersPerWorker;
    const boot = { worker: index, readerBase, readers, work: work() };
    const wakeFrontEnd = this.#wake;
    const lane = new Lane<Work>({ entry, boot, wakeFrontEnd, nowMs, events: this.#events });
    return { lane, startedAtMs: nowMs, failures };
  }

  #ready(lane: Lane<Work>): void {
    if (lane.state !== "starting") return;
    lane.state = "warm";
    this.#admit(lane);
  }

  /** It takes requests once the one before it is gone, whose partitions it is to write. */
  #admit(lane: Lane<Work>): void {
    const slot = this.#slots[lane.index];
    if (lane.state !== "warm" || slot?.lane !== lane) return;
    const waitedMs = this.#options.clock.nowMs() - slot.startedAtMs;
    if (this.#isLeaving(lane.index) && waitedMs < goneMsMax) return;
    lane.state = "ready";
    lane.heart.restart(this.#options.clock.nowMs());
    if (this.#generation !== null) {
      lane.post({ type: "generation", generation: this.#generation });
    }
  }

  /** A thread of that number is not surely gone. */
  #isLeaving(index: number): boolean {
    return [...this.#leaving].some((lane) => lane.index === index);
  }

  #call(call: RankingCall, deadlineAtMs: number): Promise<Uint8Array> {
    const { inFlightMax, metrics, clock } = this.#options;
    if (this.#inFlight >= inFlightMax) {
      metrics.add('rec_limit_reached_total{limit="rankingInFlightMax"}', 1);
      return Promise.reject(new RecError("REC_HTTP_BUSY", "the ranking threads are busy"));
    }
    const lane = this.#leastLoaded();
    if (lane === null) return Promise.resolve(this.#fallbackBytes(call));
    this.#sequence = (this.#sequence + 1) >>> 0;
    const sequence = this.#sequence;
    const bytes = encodeCall({ enqueuedAtMs: clock.nowMs(), deadlineAtMs, call });
    return new Promise((resolve, reject) => {
      this.#inFlight++;
      lane.inFlight.set(sequence, { call, deadlineAtMs, resolve, reject });
      lane.send(sequence, bytes);
    });
  }

  #leastLoaded(): Lane<Work> | null {
    let best: Lane<Work> | null = null;
    for (const { lane } of this.#slots) {
      if (lane.state !== "ready") continue;
      if (best === null || lane.inFlight.size < best.inFlight.size) best = lane;
    }
    return best;
  }

  /** Answers as they come in; one wait for the rings of all threads. */
  async #receive(): Promise<void> {
    while (!(this.#stopping && this.#leaving.size === 0)) {
      const seen = Atomics.load(this.#wakeWords, 0);
      for (const { lane } of this.#slots) lane.drain((message) => this.#take(lane, message));
      await waitForChange(this.#wakeWords, 0, seen);
    }
  }

  #take(lane: Lane<Work>, { sequence, kind, bytes }: Omit<AnswerMessage, "type">): void {
    const pending = lane.inFlight.get(sequence);
    // Answered already: it came after its deadline.
    if (pending === undefined) return;
    this.#forget(lane, sequence);
    if (kind === answerKinds.bytes) pending.resolve(bytes);
    else if (kind === answerKinds.refused) pending.reject(refusalOf(bytes));
    else pending.resolve(this.#fallbackBytes(pending.call));
  }

  #forget(lane: Lane<Work>, sequence: number): void {
    if (lane.inFlight.delete(sequence)) this.#inFlight--;
  }

  #fallbackBytes(call: RankingCall): Uint8Array {
    this.#options.metrics.add("rec_ranking_fallback_answers_total", 1);
    return this.#options.fallback(call);
  }

  #fallBack(lane: Lane<Work>): void {
    for (const [sequence, pending] of [...lane.inFlight]) this.#expire(lane, sequence, pending);
  }

  #expire(lane: Lane<Work>, sequence: number, pending: Pending): void {
    this.#forget(lane, sequence);
    pending.resolve(this.#fallbackBytes(pending.call));
  }

  #sweep(): void {
    if (this.#inFlight === 0) return;
    const nowMs = this.#options.clock.nowMs();
    for (const { lane } of this.#slots) {
      for (const [sequence, pending] of lane.inFlight) {
        if (nowMs > pending.deadlineAtMs + graceMs) this.#expire(lane, sequence, pending);
      }
    }
  }

  #check(): void {
    const nowMs = this.#options.clock.nowMs();
    // When this thread itself stood still, what it missed says nothing about the others.
    const blind = nowMs - this.#checkedAtMs > 4 * checkMs;
    this.#checkedAtMs = nowMs;
    for (const { lane } of [...this.#slots]) {
      this.#admit(lane);
      if (lane.state !== "ready") continue;
      const fault = lane.heart.look(nowMs);
      if (blind) lane.heart.restart(nowMs);
      else if (fault !== null) this.#lose(lane, fault);
    }
  }

  /**
   * The thread is of no more use: its requests are answered, it is ended, and the next one starts
   * and warms up beside its end.
   */
  #lose(lane: Lane<Work>, reason: string): void {
    if (lane.state === "lost" || this.#leaving.has(lane)) return;
    const slot = this.#slots[lane.index];
    if (slot?.lane !== lane) return;
    lane.state = "lost";
    this.#options.metrics.add("rec_ranking_workers_lost_total", 1);
    this.#options.onLoss?.(lane.index, reason);
    this.#fallBack(lane);
    this.#leaving.add(lane);
    lane.terminate();
    this.#replace(slot, lane.index);
  }

  #replace(slot: Slot<Work>, index: number): void {
    if (this.#stopping) return;
    const { clock } = this.#options;
    const lived = clock.nowMs() - slot.startedAtMs;
    const failures = lived > healthyMs ? 0 : slot.failures + 1;
    const waitMs = backoffMs[Math.min(failures === 0 ? 0 : failures - 1, backoffMs.length - 1)];
    const start = () => {
      if (this.#stopping) return;
      if (this.#freeReaders.length === 0) {
        this.#held.push(start);
        return;
      }
      this.#replaced++;
      this.#slots[index] = this.#slot(index, failures);
    };
    if (waitMs === 0) start();
    else setTimeout(start, waitMs);
  }

  #closed(lane: Lane<Work>): void {
    if (!this.#leaving.has(lane)) this.#lose(lane, "the thread ended");
    // Its partitions and its reader numbers are free only now that it is surely gone.
    const { readersPerWorker, clearReader, releaseServed } = this.#options;
    for (let i = 0; i < readersPerWorker; i++) clearReader(lane.readerBase + i);
    this.#freeReaders.push(lane.readerBase);
    this.#leaving.delete(lane);
    if (this.#stopping) return;
    this.#held.shift()?.();
    // One of the same number that was lost earlier may still be there, and hold them.
    if (this.#isLeaving(lane.index)) return;
    releaseServed(lane.index);
    const next = this.#slots[lane.index]?.lane;
    if (next !== undefined) this.#admit(next);
  }
}

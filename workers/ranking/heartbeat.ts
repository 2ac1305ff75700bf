import { type ThreadUsage, threadUsage } from "../thread-usage.ts";

/** Words that a thread and the front end share. */
const at = { beats: 0, thread: 1 } as const;

/** A thread that ran for so long without a beat loops: no call takes a tenth of it. */
const ranMsMax = 200;
/** So long it may run or sleep without a beat: a call may wait for a disk. */
const stillMsMax = 350;

/** The thread's side: who it is, and that it is alive. */
export class Heart {
  readonly #words: Int32Array;

  constructor(shared: SharedArrayBuffer, thread: number) {
    this.#words = new Int32Array(shared);
    Atomics.store(this.#words, at.thread, thread);
  }

  beat(): void {
    Atomics.add(this.#words, at.beats, 1);
  }
}

/**
 * The front end's side. Silence counts only while the thread could have beaten: one that waits for
 * a core that others hold is late, and another in its place would wait as long.
 */
export class HeartWatch {
  readonly shared = new SharedArrayBuffer(8);
  readonly #words = new Int32Array(this.shared);
  readonly #usageOf: (thread: number) => ThreadUsage | null;
  #beats = 0;
  #lookedAtMs: number;
  /** What it had run at the last look; null after a beat. */
  #ranAtMs: number | null = null;
  #ranMs = 0;
  #asleepMs = 0;

  constructor(nowMs: number, usageOf = threadUsage) {
    this.#lookedAtMs = nowMs;
    this.#usageOf = usageOf;
  }

  /** Silence so far is forgotten: nobody could look. */
  restart(nowMs: number): void {
    this.look(nowMs);
    this.#ranMs = this.#asleepMs = 0;
  }

  /** Call it every few tens of milliseconds; says what is wrong, null while the thread is well. */
  look(nowMs: number): string | null {
    const beats = Atomics.load(this.#words, at.beats);
    const passedMs = nowMs - this.#lookedAtMs;
    this.#lookedAtMs = nowMs;
    if (beats !== this.#beats) {
      this.#beats = beats;
      this.#ranMs = this.#asleepMs = 0;
      this.#ranAtMs = null;
      return null;
    }
    // Asking the system costs more than a beat: only the silent are asked after.
    const usage = this.#usageOf(Atomics.load(this.#words, at.thread));
    const ranMs = usage === null ? 0 : usage.ranMs - (this.#ranAtMs ?? usage.ranMs);
    this.#ranAtMs = usage?.ranMs ?? null;
    this.#ranMs += ranMs;
    if (usage === null || !usage.runnable) this.#asleepMs += Math.max(0, passedMs - ranMs);
    const stillMs = this.#ranMs + this.#asleepMs;
    if (this.#ranMs <= ranMsMax && stillMs <= stillMsMax) return null;
    const [ran, asleep] = [this.#ranMs, this.#asleepMs].map(Math.round);
    return `no heartbeat in ${ran} ms of work and ${asleep} ms of sleep`;
  }
}

import { RecError } from "../models/core/errors.ts";
import {
  type FromRole,
  type RoleCommand,
  type RoleInit,
  type RoleName,
  type RoleThread,
  type ToRole,
  threadName,
} from "./role-messages.ts";

export interface SupervisorOptions {
  /** Entry file of the role's threads. */
  readonly entry: (role: RoleName) => URL;
  readonly init: (of: RoleThread) => RoleInit;
  /** Generations, log lines, deaths; threads by name. */
  readonly onMessage: (thread: string, message: FromRole) => void;
  readonly onDeath: (thread: string, reason: string) => void;
  /** Called once the dead thread is surely gone: what it claimed is free again. */
  readonly release: (of: RoleThread) => void;
}

interface Waiting {
  readonly thread: Thread;
  readonly resolve: (json: string) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly of: RoleThread;
  readonly worker: Worker;
  ready: boolean;
  stopped: boolean;
  /** Its death has been told. */
  died: boolean;
  readonly startedMs: number;
  readonly restarts: number;
  /** Deaths soon after a start, in a row. */
  readonly failures: number;
}

const backoffMs = [0, 100, 500, 2_000, 5_000];
/** A thread that lived so long was not born broken: the next one starts at once. */
const healthyMs = 10_000;

/** Keeps the threads of the background roles: starts, restarts with back-off, stops. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  /** By name. */
  readonly #threads = new Map<string, Thread>();
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #stopping = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  start(of: RoleThread): void {
    this.#start(of, { restarts: 0, failures: 0 });
  }

  #start(of: RoleThread, past: { restarts: number; failures: number }): void {
    const worker = new Worker(this.#options.entry(of.role).href);
    const startedMs = performance.now();
    const thread: Thread = {
      ...{ of, worker, ready: false, stopped: false, died: false, startedMs, ...past },
    };
    this.#threads.set(threadName(of), thread);
    worker.onmessage = (event: MessageEvent<FromRole>) => this.#take(thread, event.data);
    worker.onerror = (event) => {
      // Otherwise the error would be thrown in this thread too.
      event.preventDefault();
      this.#died(thread, event.message);
      worker.terminate();
    };
    worker.addEventListener("close", () => this.#closed(thread));
    this.#send(worker, { kind: "start", init: this.#options.init(of) });
  }

  /** Names of the threads that are not ready. */
  get notReady(): string[] {
    return [...this.#threads].filter(([, { ready }]) => !ready).map(([name]) => name);
  }

  restarts(of: RoleThread): number {
    return this.#threads.get(threadName(of))?.restarts ?? 0;
  }

  /** To the role's first thread. JSON text of the answer; rejects with the role's RecError. */
  async command(role: RoleName, command: RoleCommand): Promise<string> {
    const thread = this.#threads.get(threadName({ role, worker: 0 }));
    if (!thread?.ready) throw new RecError("REC_ROLE_NOT_READY", `${role} is not ready`);
    const id = this.#nextId++;
    return await new Promise<string>((resolve, reject) => {
      this.#waiting.set(id, { thread, resolve, reject });
      this.#send(thread.worker, { kind: "command", id, command });
    });
  }

  /** Asks a role's threads to save and leave; resolves when they have, or after `timeoutMs`. */
  async stop(role: RoleName, timeoutMs: number): Promise<boolean> {
    this.#stopping = true;
    const threads = [...this.#threads.values()].filter(({ of }) => of.role === role);
    for (const { worker } of threads) this.#send(worker, { kind: "stop" });
    const stopped = () => threads.every((thread) => thread.stopped);
    const deadline = performance.now() + timeoutMs;
    while (!stopped() && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return stopped();
  }

  #send(worker: Worker, message: ToRole): void {
    worker.postMessage(message);
  }

  #take(thread: Thread, message: FromRole): void {
    if (message.kind === "ready") thread.ready = true;
    if (message.kind === "stopped") thread.stopped = true;
    if (message.kind === "answer") this.#settle(message.id)?.resolve(message.json);
    if (message.kind === "refused") {
      this.#settle(message.id)?.reject(new RecError(message.code, message.text));
    }
    this.#options.onMessage(threadName(thread.of), message);
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #died(thread: Thread, reason: string): void {
    if (thread.died) return;
    thread.died = true;
    thread.ready = false;
    const name = threadName(thread.of);
    this.#options.onDeath(name, reason);
    for (const [id, waiting] of this.#waiting) {
      if (waiting.thread !== thread) continue;
      this.#waiting.delete(id);
      waiting.reject(new RecError("REC_ROLE_NOT_READY", `${name} died while it answered`));
    }
  }

  #closed(thread: Thread): void {
    if (thread.stopped || this.#threads.get(threadName(thread.of)) !== thread) return;
    this.#died(thread, "the thread ended");
    this.#options.release(thread.of);
    if (this.#stopping) {
      thread.stopped = true;
      return;
    }
    const healthy = performance.now() - thread.startedMs > healthyMs;
    const failures = healthy ? 0 : thread.failures + 1;
    const wait = backoffMs[Math.min(Math.max(0, failures - 1), backoffMs.length - 1)];
    const past = { restarts: thread.restarts + 1, failures };
    setTimeout(() => {
      if (this.#stopping) thread.stopped = true;
      else this.#start(thread.of, past);
    }, wait);
  }
}

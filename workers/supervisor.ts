import { RecError } from "../models/core/errors.ts";
import type { FromRole, RoleCommand, RoleInit, RoleName, ToRole } from "./role-messages.ts";

export interface SupervisorOptions {
  /** Entry file of the role's thread. */
  readonly entry: (role: RoleName) => URL;
  readonly init: (role: RoleName) => RoleInit;
  /** Generations, log lines, deaths. */
  readonly onMessage: (role: RoleName, message: FromRole) => void;
  readonly onDeath: (role: RoleName, reason: string) => void;
  /** Called once the dead thread is surely gone: what it claimed is free again. */
  readonly release: (role: RoleName) => void;
}

interface Waiting {
  readonly role: RoleName;
  readonly resolve: (json: string) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
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

/** Keeps one thread for each background role: starts, restarts with back-off, stops. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #threads = new Map<RoleName, Thread>();
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #stopping = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  start(role: RoleName): void {
    this.#start(role, { restarts: 0, failures: 0 });
  }

  #start(role: RoleName, past: { restarts: number; failures: number }): void {
    const worker = new Worker(this.#options.entry(role).href);
    const startedMs = performance.now();
    const thread: Thread = {
      ...{ worker, ready: false, stopped: false, died: false, startedMs, ...past },
    };
    this.#threads.set(role, thread);
    worker.onmessage = (event: MessageEvent<FromRole>) => this.#take(role, thread, event.data);
    worker.onerror = (event) => {
      // Otherwise the error would be thrown in this thread too.
      event.preventDefault();
      this.#died(role, thread, event.message);
      worker.terminate();
    };
    worker.addEventListener("close", () => this.#closed(role, thread));
    this.#send(worker, { kind: "start", init: this.#options.init(role) });
  }

  /** What every role that is not ready waits for. */
  get notReady(): RoleName[] {
    return [...this.#threads].filter(([, { ready }]) => !ready).map(([role]) => role);
  }

  restarts(role: RoleName): number {
    return this.#threads.get(role)?.restarts ?? 0;
  }

  /** JSON text of the answer; rejects with the role's RecError. */
  async command(role: RoleName, command: RoleCommand): Promise<string> {
    const thread = this.#threads.get(role);
    if (!thread?.ready) throw new RecError("REC_ROLE_NOT_READY", `${role} is not ready`);
    const id = this.#nextId++;
    return await new Promise<string>((resolve, reject) => {
      this.#waiting.set(id, { role, resolve, reject });
      this.#send(thread.worker, { kind: "command", id, command });
    });
  }

  /** Asks one role to save and leave; resolves when it has, or after `timeoutMs`. */
  async stop(role: RoleName, timeoutMs: number): Promise<boolean> {
    this.#stopping = true;
    const thread = this.#threads.get(role);
    if (thread === undefined) return true;
    this.#send(thread.worker, { kind: "stop" });
    const deadline = performance.now() + timeoutMs;
    while (!thread.stopped && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return thread.stopped;
  }

  #send(worker: Worker, message: ToRole): void {
    worker.postMessage(message);
  }

  #take(role: RoleName, thread: Thread, message: FromRole): void {
    if (message.kind === "ready") thread.ready = true;
    if (message.kind === "stopped") thread.stopped = true;
    if (message.kind === "answer") this.#settle(message.id)?.resolve(message.json);
    if (message.kind === "refused") {
      this.#settle(message.id)?.reject(new RecError(message.code, message.text));
    }
    this.#options.onMessage(role, message);
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #died(role: RoleName, thread: Thread, reason: string): void {
    if (thread.died) return;
    thread.died = true;
    thread.ready = false;
    this.#options.onDeath(role, reason);
    for (const [id, waiting] of this.#waiting) {
      if (waiting.role !== role) continue;
      this.#waiting.delete(id);
      waiting.reject(new RecError("REC_ROLE_NOT_READY", `${role} died while it answered`));
    }
  }

  #closed(role: RoleName, thread: Thread): void {
    if (thread.stopped || this.#threads.get(role) !== thread) return;
    this.#died(role, thread, "the thread ended");
    this.#options.release(role);
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
      else this.#start(role, past);
    }, wait);
  }
}

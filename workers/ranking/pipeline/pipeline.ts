import type { Clock } from "../../../models/core/clock.ts";
import { settledBy, type Timer } from "./deadline.ts";
import type { Outcome, PipelineContext, PipelineObserver, Role, Stage } from "./stages.ts";
import { type CompiledPipeline, type CompiledStage, compileStages, type Step } from "./steps.ts";

export interface PipelineOptions<C> {
  readonly stages: readonly Stage<C>[];
  readonly clock: Clock;
  readonly observer: PipelineObserver;
  /** Null: asynchronous components are waited for without a limit (virtual time). */
  readonly timer: Timer | null;
}

/** An asynchronous component that was started. */
interface Started<C> {
  readonly step: Step<C>;
  readonly joins: Role;
  readonly promise: Promise<unknown>;
  settled: boolean;
}

/** One request on its way through the stages. */
interface Run<C> {
  readonly context: C;
  readonly started: Started<C>[];
  /** By source: how many it found. */
  readonly found: Int32Array;
  stageStartMs: number;
}

/**
 * The executor. It owns the order, the concurrency (asynchronous components of one stage run
 * together), the deadline, the trace and the metrics, so that a component owns one thing. When
 * all components are synchronous a run is synchronous too: no promise, no turn of the event loop.
 */
export class Pipeline<C extends PipelineContext> {
  readonly #plan: CompiledPipeline<C>;
  readonly #options: PipelineOptions<C>;
  readonly #removedByCode: Int32Array;

  constructor(options: PipelineOptions<C>) {
    this.#options = options;
    this.#plan = compileStages(options.stages);
    this.#removedByCode = new Int32Array(this.#plan.reasons.length);
  }

  /** Names of the sources; bit s of a candidate's mask is source s. */
  get sources(): readonly string[] {
    return this.#plan.sources;
  }

  /** Takes `context` through all stages. Never throws for a component's fault. */
  run(context: C): Outcome {
    const found = new Int32Array(this.#plan.sources.length);
    return this.#from({ context, started: [], found, stageStartMs: 0 }, 0);
  }

  #from(run: Run<C>, first: number): Outcome {
    for (let i = first; i < this.#plan.stages.length; i++) {
      const stage = this.#plan.stages[i];
      if (stage === undefined) break;
      const joined = this.#join(run, stage.role);
      if (joined !== undefined) return joined.then(() => this.#from(run, i));
      const waiting = this.#begin(run, stage);
      if (waiting !== undefined) {
        return waiting.then(() => {
          this.#end(run, stage);
          return this.#from(run, i + 1);
        });
      }
      this.#end(run, stage);
    }
    return undefined;
  }

  /** Waits for what was started earlier and joins here; undefined where there is nothing. */
  #join(run: Run<C>, role: Role): Outcome {
    if (run.started.length === 0) return undefined;
    return this.#wait(run, role);
  }

  #begin(run: Run<C>, stage: CompiledStage<C>): Outcome {
    const { context } = run;
    run.stageStartMs = this.#options.clock.nowMs();
    const essentialOnly = context.deadline.essentialOnly(run.stageStartMs);
    if (stage.role === "filter") context.candidates.clearReasons();
    for (const step of stage.steps) {
      if (!step.applies(context)) continue;
      if (essentialOnly && !step.essential) this.#leaveOut(run, step, null);
      else this.#start(run, stage, step);
    }
    return run.started.length === 0 ? undefined : this.#wait(run, stage.role);
  }

  #start(run: Run<C>, stage: CompiledStage<C>, step: Step<C>): void {
    try {
      const result = step.start(run.context);
      if (typeof result === "number") run.found[step.source] = result;
      else if (result !== undefined) this.#watch(run, step, { role: stage.role, promise: result });
    } catch (error) {
      this.#leaveOut(run, step, error);
    }
  }

  #watch(
    run: Run<C>,
    step: Step<C>,
    outcome: { role: Role; promise: Promise<number> | Promise<void> },
  ): void {
    const { context } = run;
    context.pending++;
    const settle = (): boolean => {
      context.pending--;
      started.settled = true;
      return run.started.includes(started);
    };
    const done = (result: unknown): void => {
      if (settle() && typeof result === "number") run.found[step.source] = result;
    };
    const failed = (error: unknown): void => {
      if (settle()) this.#leaveOut(run, step, error);
    };
    const promise = Promise.resolve<unknown>(outcome.promise).then(done, failed);
    const joins = step.joins ?? outcome.role;
    const started: Started<C> = { step, joins, promise, settled: false };
    run.started.push(started);
  }

  /** Waits for the started components that join at `role`; what is late is left out. */
  #wait(run: Run<C>, role: Role): Outcome {
    const due = run.started.filter(({ joins }) => joins === role);
    if (due.length === 0) return undefined;
    const close = () => {
      for (const started of due) {
        run.started.splice(run.started.indexOf(started), 1);
        if (!started.settled) this.#leaveOut(run, started.step, null);
      }
    };
    if (due.every(({ settled }) => settled)) {
      close();
      return undefined;
    }
    const waitMs = run.context.deadline.cutoffMs(role) - this.#options.clock.nowMs();
    const promises = due.map(({ promise }) => promise);
    return settledBy(promises, waitMs, this.#options.timer).then(close);
  }

  #leaveOut(run: Run<C>, step: Step<C>, error: unknown): void {
    const { degraded } = run.context;
    if (!degraded.includes(step.name)) degraded.push(step.name);
    step.abandon(run.context);
    this.#options.observer.leftOut(step.name, error);
  }

  #end(run: Run<C>, stage: CompiledStage<C>): void {
    const { context } = run;
    if (stage.role === "source") this.#merge(run, stage);
    const removed = stage.role === "filter" ? this.#filter(context) : 0;
    const microseconds = (this.#options.clock.nowMs() - run.stageStartMs) * 1_000;
    this.#options.observer.stage(stage.name, microseconds);
    if (context.trace === null) return;
    const counts = stage.role === "source" ? this.#foundCounts(run, stage) : {};
    const { count, selectedCount } = context.candidates;
    context.trace.stage({
      stage: stage.name,
      kept: stage.role === "selector" ? selectedCount : count,
      microseconds,
      counts: removed > 0 ? this.#removedCounts() : counts,
    });
  }

  /** In the order of the components, whichever came back first. */
  #merge(run: Run<C>, stage: CompiledStage<C>): void {
    for (const { source } of stage.steps) {
      run.context.candidates.merge(source, run.found[source]);
    }
    const { overflow } = run.context.candidates;
    if (overflow > 0) this.#options.observer.overflowed(overflow);
  }

  #filter(context: C): number {
    const { candidates, trace } = context;
    const { reasons, rows } = candidates;
    this.#removedByCode.fill(0);
    for (let i = 0; i < candidates.count; i++) {
      const code = reasons[i];
      this.#removedByCode[code]++;
      if (code !== 0 && trace !== null) {
        trace.removal(rows[i], this.#plan.reasons[code] ?? "");
      }
    }
    for (let code = 1; code < this.#removedByCode.length; code++) {
      const count = this.#removedByCode[code];
      if (count > 0) this.#options.observer.removed(this.#plan.reasons[code] ?? "", count);
    }
    return candidates.compact();
  }

  #foundCounts(run: Run<C>, stage: CompiledStage<C>): Record<string, number> {
    const entries = stage.steps.map(({ name, source }) => [name, run.found[source]] as const);
    return Object.fromEntries(entries);
  }

  #removedCounts(): Record<string, number> {
    const counts: Record<string, number> = {};
    this.#plan.reasons.forEach((name, code) => {
      const count = this.#removedByCode[code];
      if (code > 0 && count > 0) counts[name] = count;
    });
    return counts;
  }
}

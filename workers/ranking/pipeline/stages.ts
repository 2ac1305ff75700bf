import type { Candidates, SourceColumns } from "./candidates.ts";
import type { Deadline } from "./deadline.ts";
import type { Trace } from "./trace.ts";

/** The seven roles, in the order in which they may first appear. */
export const roles = [
  "queryHydrator",
  "source",
  "hydrator",
  "filter",
  "scorer",
  "selector",
  "sideEffect",
] as const;
export type Role = (typeof roles)[number];

/** What every request carries through the stages; products add their own. */
export interface PipelineContext {
  readonly candidates: Candidates;
  readonly deadline: Deadline;
  /** Names of what was left out. */
  readonly degraded: string[];
  readonly trace: Trace | null;
  /** Asynchronous components that have not settled; kept by the executor. */
  pending: number;
}

/** A synchronous component returns nothing and pays for no promise. */
export type Outcome = undefined | Promise<void>;

/**
 * A component does its one thing. One that waits must, after waiting, write only while
 * `context.pending` is its own request's: the executor gives no context away while something is
 * pending on it.
 */
interface Component<C> {
  readonly name: string;
  /** Runs even when the time is nearly up. */
  readonly essential?: boolean;
  /** False: this request has no use for it. */
  applies?(context: C): boolean;
}

/** Brings what is known about the request: user, counters, pins. */
export interface QueryHydrator<C> extends Component<C> {
  hydrate(context: C): Outcome;
}

/** A recall route: writes its finds, best first, and gives how many. */
export interface Source<C> extends Component<C> {
  retrieve(context: C, out: SourceColumns): number | Promise<number>;
}

/** Brings what is known about the candidates. */
export interface Hydrator<C> extends Component<C> {
  /** Waited for only when the named role begins; default: with its own stage. */
  readonly joins?: Role;
  hydrate(context: C): Outcome;
}

/**
 * Removes candidates with a reason: writes base + index into `reasons` to `out[i]` where out[i] is
 * 0. One that fails removes everything when `failsClosed`.
 */
export interface Filter<C> extends Component<C> {
  readonly reasons: readonly string[];
  readonly failsClosed: boolean;
  filter(context: C, out: Uint8Array, base: number): Outcome;
}

export interface Scorer<C> extends Component<C> {
  score(context: C): Outcome;
}

/** Fills `candidates.selected`. */
export interface Selector<C> extends Component<C> {
  select(context: C): Outcome;
}

/** What the slate leaves behind: records, counters. */
export interface SideEffect<C> extends Component<C> {
  perform(context: C): Outcome;
}

interface StageOf<R extends Role, T> {
  readonly role: R;
  readonly name: string;
  readonly components: readonly T[];
}

export type Stage<C> =
  | StageOf<"queryHydrator", QueryHydrator<C>>
  | StageOf<"source", Source<C>>
  | StageOf<"hydrator", Hydrator<C>>
  | StageOf<"filter", Filter<C>>
  | StageOf<"scorer", Scorer<C>>
  | StageOf<"selector", Selector<C>>
  | StageOf<"sideEffect", SideEffect<C>>;

/** Where the executor tells what happened; must not throw. */
export interface PipelineObserver {
  stage(name: string, microseconds: number): void;
  /** A component was left out: late, or failed with `error`. */
  leftOut(component: string, error: unknown): void;
  removed(reason: string, count: number): void;
  /** Finds that did not fit into the candidates. */
  overflowed(count: number): void;
}

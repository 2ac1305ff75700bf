import type { IndexGeneration } from "../models/recall/generation.ts";
import type { HeadMetrics } from "../models/training/progressive.ts";
import type { SharedHandles } from "./shared-state.ts";
import type { Topics } from "./stores/embedded/control.ts";
import type { LogRetention } from "./stores/open.ts";

/** Everything that crosses between the main thread and a background role's thread. */

export type RoleName = "windows" | "joiner" | "trainer" | "recall";

/** One thread of a role; those of windows and joiner share the partitions of users. */
export interface RoleThread {
  readonly role: RoleName;
  /** 0 for the first. */
  readonly worker: number;
}

/** As logs and faults name it: `windows`, `windows-1` ... */
export function threadName({ role, worker }: RoleThread): string {
  return worker === 0 ? role : `${role}-${worker}`;
}

/** What a role's thread needs to open the same state and the same log. */
export interface RoleInit extends RoleThread {
  /** Threads of the role. */
  readonly workers: number;
  readonly dataDir: string;
  readonly eventLogUrl: string;
  readonly topics: Topics;
  readonly control: SharedArrayBuffer;
  readonly durability: "fsync" | "async";
  readonly logRetention: LogRetention;
  /** Path of a definition module; null for the default. */
  readonly definitionPath: string | null;
  readonly handles: SharedHandles;
  readonly publishEvery: number;
  /** False: the trainer makes its newest snapshot live and learns nothing. */
  readonly trains: boolean;
  /** How long a slate's samples wait for their labels; null for the joiner's default. */
  readonly joinerEmitAfterMs: number | null;
  /** Share of the time that recall may rebuild, in (0, 1]. */
  readonly rebuildShare: number;
  /** From the start of one rebuild to that of the next, at least. */
  readonly rebuildEveryMs: number;
  readonly seed: number;
}

/** Partitions of users that a thread owns: those that leave its number over its role's threads. */
export function partitionsOf(
  { worker, workers }: Pick<RoleInit, "worker" | "workers">,
  partitions: number,
): number[] {
  const all = Array.from({ length: partitions }, (_, partition) => partition);
  return all.filter((partition) => partition % workers === worker);
}

/** Asks the trainer for another version; the others take no commands. */
export type RoleCommand =
  | { readonly name: "promote"; readonly version: number }
  | { readonly name: "rollback" }
  | { readonly name: "list" };

export type ToRole =
  | { readonly kind: "start"; readonly init: RoleInit }
  | { readonly kind: "command"; readonly id: number; readonly command: RoleCommand }
  | { readonly kind: "stop" };

export type FromRole =
  /** What was stored before has been taken in. */
  | { readonly kind: "ready" }
  | { readonly kind: "generation"; readonly generation: IndexGeneration }
  /** The trainer's: how each head did on the latest samples, before they were learned. */
  | { readonly kind: "progressive"; readonly heads: readonly HeadMetrics[] }
  | { readonly kind: "answer"; readonly id: number; readonly json: string }
  | { readonly kind: "refused"; readonly id: number; readonly code: string; readonly text: string }
  | { readonly kind: "log"; readonly level: "info" | "warn"; readonly text: string }
  /** The last message: state is saved, files are closed. */
  | { readonly kind: "stopped" };

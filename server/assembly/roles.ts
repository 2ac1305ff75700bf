import { messageOf, RecError } from "../../models/core/errors.ts";
import type { IndexGeneration } from "../../models/recall/generation.ts";
import type { HeadMetrics } from "../../models/training/progressive.ts";
import type { RoleInit, RoleName } from "../../workers/role-messages.ts";
import type { Topic } from "../../workers/stores/event-log.ts";
import { Supervisor } from "../../workers/supervisor.ts";
import type { Config } from "../config.ts";
import type { Log } from "../log.ts";
import type { Storage } from "./storage.ts";

/** Entry files, spelled out so that a bundler and the tidy test find them. */
const entries: Readonly<Record<RoleName, URL>> = {
  windows: new URL("../../workers/windows/main.ts", import.meta.url),
  joiner: new URL("../../workers/joiner/main.ts", import.meta.url),
  trainer: new URL("../../workers/trainer/main.ts", import.meta.url),
  recall: new URL("../../workers/recall/main.ts", import.meta.url),
};

export const roleNames: readonly RoleName[] = ["windows", "joiner", "trainer", "recall"];
/** The topic that a role writes; no other thread does. */
const writes: Readonly<Partial<Record<RoleName, Topic>>> = {
  windows: "commits",
  joiner: "samples",
};
/** One seed for all that is random in the background. */
const seed = 1;

export interface RolesOptions {
  readonly config: Config;
  readonly storage: Storage;
  readonly log: Log;
  readonly onGeneration: (generation: IndexGeneration) => void;
  readonly onProgressive: (heads: readonly HeadMetrics[]) => void;
}

/** Starts the background threads over opened storage. */
export function startRoles(options: RolesOptions): Supervisor {
  const { config, storage, log, onGeneration, onProgressive } = options;
  const { state, topics } = storage;
  const init = (role: RoleName): RoleInit => ({
    ...{ role, seed, topics, control: storage.log.control, handles: state.handles },
    dataDir: config.dataDir,
    eventLogUrl: config.eventLogUrl,
    durability: config.durability,
    definitionPath: config.definition === "" ? null : config.definition,
    publishEvery: config.publishEvery,
    trains: config.rankOnnx === "",
    rebuildShare: config.recallRebuildPercent / 100,
    joinerEmitAfterMs: config.joinerEmitAfterMs === 0 ? null : config.joinerEmitAfterMs,
  });
  const supervisor = new Supervisor({
    init,
    entry: (role) => entries[role],
    onMessage(role, message) {
      if (message.kind === "generation") onGeneration(message.generation);
      if (message.kind === "progressive") onProgressive(message.heads);
      if (message.kind === "log") log[message.level](message.text, { role });
    },
    onDeath(role, reason) {
      state.metrics.add("rec_roles_restarted_total", 1);
      log.error("a background thread died and is started again", { role, reason });
    },
    release(role) {
      const topic = writes[role];
      if (topic === undefined) return;
      try {
        storage.log.releaseWriter(topic, 0);
      } catch (error) {
        log.warn("the writer of a topic was not released", { topic, reason: messageOf(error) });
      }
    },
  });
  for (const role of roleNames) supervisor.start(role);
  return supervisor;
}

/** Stops in the order of the data: who reads last leaves last. */
export async function stopRoles(supervisor: Supervisor, timeoutMs: number): Promise<void> {
  for (const role of roleNames) {
    if (await supervisor.stop(role, timeoutMs)) continue;
    throw new RecError("REC_ROLE_STUCK", `${role} did not stop within ${timeoutMs} ms`);
  }
}

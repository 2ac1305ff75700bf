import { RecError } from "../../models/core/errors.ts";
import type { IndexGeneration } from "../../models/recall/generation.ts";
import type { HeadMetrics } from "../../models/training/progressive.ts";
import type { RoleInit, RoleName, RoleThread } from "../../workers/role-messages.ts";
import { Supervisor } from "../../workers/supervisor.ts";
import type { Config } from "../config.ts";
import type { Log } from "../log.ts";
import { defaultRetention } from "../log-retention.ts";
import { type Storage, userPartitions } from "./storage.ts";
import { releaseWriters, writtenByRole } from "./writers.ts";

/** Entry files, spelled out so that a bundler and the tidy test find them. */
const entries: Readonly<Record<RoleName, URL>> = {
  windows: new URL("../../workers/windows/main.ts", import.meta.url),
  joiner: new URL("../../workers/joiner/main.ts", import.meta.url),
  trainer: new URL("../../workers/trainer/main.ts", import.meta.url),
  recall: new URL("../../workers/recall/main.ts", import.meta.url),
};

export const roleNames: readonly RoleName[] = ["windows", "joiner", "trainer", "recall"];
/** One seed for all that is random in the background. */
const seed = 1;

export interface RolesOptions {
  readonly config: Config;
  readonly storage: Storage;
  readonly log: Log;
  readonly onGeneration: (generation: IndexGeneration) => void;
  readonly onProgressive: (heads: readonly HeadMetrics[]) => void;
}

/** Call before anything is opened. Throws REC_CONFIG_VALUE where a thread would own nothing. */
export function requireShares(config: Config): void {
  const partitions = userPartitions(config);
  const { windowWorkers, joinerWorkers, dataDir } = config;
  const asked = { WINDOW_WORKERS: windowWorkers, JOINER_WORKERS: joinerWorkers };
  for (const [path, workers] of Object.entries(asked)) {
    if (workers <= partitions) continue;
    const message = `${path} is ${workers}, but ${dataDir} has partitions for ${partitions}`;
    const fix = `set ${path} to ${partitions} at most, or LOG_PARTITIONS with a new DATA_DIR`;
    throw new RecError("REC_CONFIG_VALUE", message, { path, fix });
  }
}

/** Starts the background threads over opened storage. */
export function startRoles(options: RolesOptions): Supervisor {
  const { config, storage, log, onGeneration, onProgressive } = options;
  const { state, topics } = storage;
  const { windowWorkers: windows, joinerWorkers: joiner } = config;
  const workers = { windows, joiner, trainer: 1, recall: 1 };
  const init = (of: RoleThread): RoleInit => ({
    ...{ ...of, workers: workers[of.role] },
    ...{ seed, topics, control: storage.log.control, handles: state.handles },
    dataDir: config.dataDir,
    eventLogUrl: config.eventLogUrl,
    durability: config.durability,
    logRetention: { ...defaultRetention, ...config.logRetention },
    definitionPath: config.definition === "" ? null : config.definition,
    publishEvery: config.publishEvery,
    trains: config.rankOnnx === "",
    rebuildShare: config.recallRebuildPercent / 100,
    rebuildEveryMs: config.recallEveryMs,
    joinerEmitAfterMs: config.joinerEmitAfterMs === 0 ? null : config.joinerEmitAfterMs,
  });
  const supervisor = new Supervisor({
    init,
    entry: (role) => entries[role],
    onMessage(thread, message) {
      if (message.kind === "generation") onGeneration(message.generation);
      if (message.kind === "progressive") onProgressive(message.heads);
      if (message.kind === "log") log[message.level](message.text, { role: thread });
    },
    onDeath(thread, reason) {
      state.metrics.add("rec_roles_restarted_total", 1);
      log.error("a background thread died and is started again", { role: thread, reason });
    },
    release(of) {
      const writers = writtenByRole(of, workers[of.role], topics.events);
      releaseWriters(storage, writers, log);
    },
  });
  for (const role of roleNames) {
    for (let worker = 0; worker < workers[role]; worker++) supervisor.start({ role, worker });
  }
  return supervisor;
}

/** Stops in the order of the data: who reads last leaves last. */
export async function stopRoles(supervisor: Supervisor, timeoutMs: number): Promise<void> {
  for (const role of roleNames) {
    if (await supervisor.stop(role, timeoutMs)) continue;
    throw new RecError("REC_ROLE_STUCK", `${role} did not stop within ${timeoutMs} ms`);
  }
}

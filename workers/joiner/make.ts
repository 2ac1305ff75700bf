import { limits } from "../../models/limits.ts";
import type { TailedLog } from "../stores/event-log.ts";
import { JoinerCore } from "./joiner.ts";
import type { JoinerOptions } from "./options.ts";
import { JoinerRole } from "./worker.ts";

export interface JoinerParts extends Omit<JoinerOptions, "partitions"> {
  readonly log: TailedLog;
  /** Which partition of users, of as many as topic `events` has; default: the first. */
  readonly partition?: number;
}

/** The role of a partition, rebuilt from its last frame. Bounds are those of all partitions. */
export async function makeJoinerRole(parts: JoinerParts): Promise<JoinerRole> {
  const { log, partition = 0, ...options } = parts;
  const partitions = log.partitions("events");
  const { rowsMax = limits.joinerLiveMax, dedupIdsMax = limits.dedupIdsMax } = options;
  const core = new JoinerCore({
    ...options,
    partitions: {
      ...{ events: partitions, served: log.partitions("served") },
      share: { partition, partitions },
    },
    rowsMax: Math.ceil(rowsMax / partitions),
    dedupIdsMax: Math.ceil(dedupIdsMax / partitions),
  });
  return await JoinerRole.open({ log, core, partition });
}

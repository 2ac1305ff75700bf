import { messageOf } from "../../models/core/errors.ts";
import { partitionsOf, type RoleThread } from "../../workers/role-messages.ts";
import type { LogPoint } from "../../workers/stores/event-log.ts";
import { servedLogPartition } from "../../workers/stores/partitions.ts";
import type { Log } from "../log.ts";
import type { Storage } from "./storage.ts";

/** A partition that one thread writes, and no other. */
type LogWriter = Pick<LogPoint, "topic" | "partition">;

/** What a background thread writes, where its role has so many and users so many partitions. */
export function writtenByRole(of: RoleThread, workers: number, partitions: number): LogWriter[] {
  const own = partitionsOf({ ...of, workers }, partitions);
  const written = (topic: LogWriter["topic"]) => own.map((partition) => ({ topic, partition }));
  if (of.role === "windows") return [...written("commits"), ...written("late")];
  if (of.role === "joiner") return written("samples");
  // The order in which it takes samples of several partitions.
  if (of.role === "trainer" && partitions > 1) return [{ topic: "commits", partition: partitions }];
  return [];
}

/** What a ranking thread writes, where users have so many partitions. */
export function writtenByRanking(worker: number, partitions: number): LogWriter[] {
  return Array.from({ length: partitions }, (_, partition) => ({
    ...{ topic: "served", partition: servedLogPartition(worker, { partition, partitions }) },
  }));
}

/** What a thread wrote that is surely gone is the next one's to write. */
export function releaseWriters(
  { log: eventLog }: Pick<Storage, "log">,
  writers: readonly LogWriter[],
  log: Log,
): void {
  for (const { topic, partition } of writers) {
    try {
      eventLog.releaseWriter(topic, partition);
    } catch (error) {
      const reason = messageOf(error);
      log.warn("the writer of a topic was not released", { topic, partition, reason });
    }
  }
}

import { type EventLog, type LogReader, type Topic, topics } from "../workers/stores/event-log.ts";
import type { LogRetention, Retention } from "../workers/stores/open.ts";

/** Who reads a topic again at a start: nothing is dropped that one of them still needs. */
const heldBy: Readonly<Record<Topic, readonly LogReader[]>> = {
  events: ["ingest", "windows", "joiner", "recall"],
  served: ["windows", "joiner"],
  samples: ["trainer"],
  items: ["ingest"],
  commits: ["windows", "trainer"],
  late: [],
};

/**
 * Each partition of `commits` has one reader, the one who wrote it: the windows of its users, or,
 * behind those, the trainer. The other says here that it needs nothing of it.
 */
export function letGoOfUnread(log: Pick<EventLog, "partitions" | "letGo">): void {
  const users = log.partitions("events");
  for (let partition = 0; partition < log.partitions("commits"); partition++) {
    const reader = partition < users ? "trainer" : "windows";
    log.letGo(reader, [{ topic: "commits", partition, offset: Number.MAX_SAFE_INTEGER }]);
  }
}

/** Nobody reads `late` again, so it is bounded where the setting does not name it. */
export const defaultRetention: LogRetention = { late: { sizeBytesMax: 256 << 20 } };

/** `all=30d,served=20gb+7d`: sizes in mb or gb, ages in h or d. */
const retentionPattern = /^([a-z]+=\d{1,6}(mb|gb|h|d)(\+\d{1,6}(mb|gb|h|d))?(,(?!$)|$))*$/;

const unitsOf: Readonly<Record<string, number>> = {
  ...{ mb: 2 ** 20, gb: 2 ** 30, h: 3_600_000, d: 86_400_000 },
};

function limitsOf(text: string): Pick<Retention, "sizeBytesMax" | "ageMsMax"> {
  const limits: { sizeBytesMax?: number; ageMsMax?: number } = {};
  for (const [, count, unit = ""] of text.matchAll(/(\d+)(mb|gb|h|d)/g)) {
    const value = Number(count) * (unitsOf[unit] ?? 0);
    if (unit.endsWith("b")) limits.sizeBytesMax = value;
    else limits.ageMsMax = value;
  }
  return limits;
}

/** What the setting says, by topic; undefined where it names no topic or a limit of zero. */
export function readRetention(text: string): LogRetention | undefined {
  if (!retentionPattern.test(text)) return undefined;
  const retention: Partial<Record<Topic, Retention>> = {};
  const entries = text.split(",").filter((entry) => entry !== "");
  // A topic's own entry wins, wherever it stands.
  for (const entry of entries.toSorted(
    (a, b) => Number(b.startsWith("all=")) - Number(a.startsWith("all=")),
  )) {
    const [name, limits = ""] = entry.split("=");
    const named = topics.filter((topic) => name === "all" || name === topic);
    const of = limitsOf(limits);
    if (named.length === 0 || Object.values(of).some((value) => value === 0)) return undefined;
    for (const topic of named) retention[topic] = { ...of, heldBy: heldBy[topic] };
  }
  return retention;
}

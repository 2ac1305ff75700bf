import { type Id128, isNoId } from "../../models/core/bytes.ts";

/**
 * Events and slates are kept by user: all that concerns a user stands in one partition, so that
 * whoever owns a partition sees everything of its users. Topic `events` has one log partition for
 * each; `served` has one for each and each thread that writes slates, as a log partition has one
 * writer.
 */

/**
 * Partition of a user's events and slates: FNV-1a (Fowler, Noll and Vo) over the id's UTF-16 units.
 * By the id and not by the row, as a user's first slate leaves before there is a row.
 */
export function partitionOfUser(user: string, partitions: number): number {
  if (partitions === 1) return 0;
  let hash = 0x811c9dc5;
  for (let i = 0; i < user.length; i++) hash = Math.imul(hash ^ user.charCodeAt(i), 0x01000193);
  // The low bits of short ids hang on their last characters alone.
  return ((hash ^ (hash >>> 15)) >>> 0) % partitions;
}

/**
 * A slate's partition stands in the id of its request: who follows the slate finds it by the name
 * alone, also where nobody, or somebody else, was served it.
 */
export function partitionOfRequest([first]: Id128, partitions: number): number {
  return first % partitions;
}

/** The id, changed to name the partition of the user; nobody's stays as it was drawn. */
export function requestIdFor(id: Id128, user: string | null, partitions: number): Id128 {
  if (user === null || partitions === 1) return id;
  const [first, second, third, fourth] = id;
  // One round less where the last one is not whole.
  const base = Math.min(first - (first % partitions), 2 ** 32 - 2 * partitions);
  const own = base - (base % partitions) + partitionOfUser(user, partitions);
  return [own, second, third, fourth];
}

/** Some of the partitions of users: `partition` of `partitions`. */
export interface PartitionShare {
  readonly partition: number;
  readonly partitions: number;
}

/** Log partition of `served` that a writer puts slates of a partition of users into. */
export function servedLogPartition(writer: number, { partition, partitions }: PartitionShare) {
  return writer * partitions + partition;
}

/** Whether a log partition of `events` or `served` holds users of this share. */
export function holdsShare(logPartition: number, { partition, partitions }: PartitionShare) {
  return logPartition % partitions === partition;
}

/** Everything there is. */
export const wholeLog: PartitionShare = { partition: 0, partitions: 1 };

/**
 * Whether an event belongs to this share: to the slate that it names, which may be of another
 * partition than its user, or else to its user.
 */
export function ownsEvent(
  share: PartitionShare | undefined,
  logPartition: number,
  requestId: Id128,
): boolean {
  if (share === undefined || share.partitions === 1) return true;
  if (isNoId(requestId)) return holdsShare(logPartition, share);
  return partitionOfRequest(requestId, share.partitions) === share.partition;
}

import { viewOf } from "../../models/core/bytes.ts";
import { RecError } from "../../models/core/errors.ts";
import type { Topic } from "./event-log.ts";
import type { LogSource } from "./log-source.ts";

/**
 * What a role took in next: records `first .. first + count` of one source, the first of them
 * under this sequence number. Appended before a table shows any of it, so that who meets a row's
 * offset can tell from the log alone which records the row has taken in; and read again at a start,
 * so that records get the numbers that they had.
 */
export interface CommitRecord {
  readonly topic: Topic;
  readonly partition: number;
  readonly first: number;
  readonly count: number;
  readonly sequence: number;
}

const version = 1;
const bytesOf = 24;
const topics: readonly Topic[] = ["events", "served", "samples"];

/** Layout, little endian: u8 version, u8 topic, u16 partition, u32 count, f64 first, sequence. */
export function encodeCommit(commit: CommitRecord): Uint8Array {
  const bytes = new Uint8Array(bytesOf);
  const view = viewOf(bytes);
  view.setUint8(0, version);
  view.setUint8(1, topics.indexOf(commit.topic));
  view.setUint16(2, commit.partition, true);
  view.setUint32(4, commit.count, true);
  view.setFloat64(8, commit.first, true);
  view.setFloat64(16, commit.sequence, true);
  return bytes;
}

/** Throws REC_COMMIT_VERSION for a record that a newer version wrote. */
export function decodeCommit(bytes: Uint8Array): CommitRecord {
  const view = viewOf(bytes);
  const topic = topics[view.getUint8(1)];
  if (view.getUint8(0) !== version || topic === undefined) {
    throw new RecError("REC_COMMIT_VERSION", "topic commits was written by a newer version");
  }
  return {
    topic,
    partition: view.getUint16(2, true),
    count: view.getUint32(4, true),
    first: view.getFloat64(8, true),
    sequence: view.getFloat64(16, true),
  };
}

export function isOf({ topic, partition }: CommitRecord, source: LogSource): boolean {
  return topic === source.topic && partition === source.partition;
}

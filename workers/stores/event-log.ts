/** The event log's port. Embedded: checksummed segment files. Past one machine: Kafka, by URL. */

/**
 * `commits`: what the windows took in, in order, a partition for each of users; where samples have
 * several partitions, one more for the trainer (commit-record.ts). `late`: what came after panes
 * had closed, and the windows that it missed (workers/windows/late-records.ts).
 */
export const topics = ["events", "served", "samples", "items", "commits", "late"] as const;
export type Topic = (typeof topics)[number];

/** Who reads the log again at a start, from what it has kept of it. */
export const logReaders = ["ingest", "windows", "joiner", "recall", "trainer"] as const;
export type LogReader = (typeof logReaders)[number];

/** Records `firstOffset .. firstOffset + count` of one partition, in one buffer. */
export interface LogBatch {
  readonly firstOffset: number;
  readonly count: number;
  readonly data: Uint8Array;
  /** count + 1 positions in `data`: record i is data[bounds[i] .. bounds[i + 1]]. */
  readonly bounds: Uint32Array;
}

export interface LogPoint {
  readonly topic: Topic;
  readonly partition: number;
  readonly offset: number;
}

export interface AppendOptions {
  /** Wait for the sync to disk (default true). False: once readers can see it. */
  readonly durable?: boolean;
  /**
   * A role's commit: opaque bytes stored in the same checksummed group as the records, so that
   * outputs and input offsets are kept or lost together. A frame may come with no records.
   */
  readonly frame?: Uint8Array;
}

/**
 * Topics of partitions; in a partition, records have offsets 0, 1, 2 ... One writer a partition
 * (over all threads), any number of readers.
 */
export interface EventLog {
  partitions(topic: Topic): number;
  /**
   * Offset of the first record appended. One append is kept or lost as a whole. The buffers are
   * the log's until it resolves. Refused with REC_LOG_FULL while too much is queued, with
   * REC_LOG_TOO_LARGE when it can never be taken, with REC_LOG_WRITER when another thread writes
   * the partition. After any other refusal (disk) a later append may succeed.
   */
  append(
    topic: Topic,
    partition: number,
    records: readonly Uint8Array[],
    options?: AppendOptions,
  ): Promise<number>;
  /**
   * At most about `maxBytes` (one record at least); an empty batch at the end. REC_LOG_GONE below
   * `startOffset`, REC_LOG_CORRUPT where stored bytes do not match their checksum.
   */
  read(topic: Topic, partition: number, offset: number, maxBytes: number): Promise<LogBatch>;
  /** The oldest offset that is kept, and the offset after the last visible record. */
  startOffset(topic: Topic, partition: number): number;
  endOffset(topic: Topic, partition: number): number;
  /** Resolves once `endOffset` > `offset`, or after `timeoutMs`. */
  waitForMore(topic: Topic, partition: number, offset: number, timeoutMs: number): Promise<void>;
  /**
   * The reader will not ask for what stands before these points, even where the newest of what it
   * keeps turns out to be damaged. Retention that it holds back may drop it. `part` says which of
   * the joiners speaks: each reads the events of all partitions, and what all let go of may go.
   */
  letGo(reader: LogReader, points: readonly LogPoint[], part?: number): void;
  /** The newest frame of a partition that this process writes; null where there is none. */
  lastFrame(topic: Topic, partition: number): Promise<Uint8Array | null>;
  /** Everything appended so far is on disk. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** A log whose reader can wait for several partitions at once without leaving waits behind. */
export interface TailedLog extends EventLog {
  /** Resolves once any of the points is passed, after `timeoutMs`, or when the log is closed. */
  waitForAny(points: readonly LogPoint[], timeoutMs: number): Promise<void>;
  /**
   * Makes this thread the partition's writer now, as its first append would: a group that a dead
   * writer had written and not shown yet is shown. A role does so before it asks for its last
   * frame, or it would continue from an older one than the group holds.
   */
  openWriter(topic: Topic, partition: number): void;
}

/** Record `index` of a batch, as a view (valid as long as the batch). */
export function recordOf(batch: LogBatch, index: number): Uint8Array {
  return batch.data.subarray(batch.bounds[index], batch.bounds[index + 1]);
}

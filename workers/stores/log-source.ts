import { Watermark } from "../../models/core/watermark.ts";
import type { Topic } from "./event-log.ts";
import { holdsShare, type PartitionShare, wholeLog } from "./partitions.ts";

/** One partition that a role reads. */
export interface LogSource {
  readonly topic: Topic;
  readonly partition: number;
  /** The next offset to take in. */
  offset: number;
  readonly watermark: Watermark;
}

/** Log partitions of both inputs of a role, and the share of the users that it takes in. */
export interface InputPartitions {
  readonly events: number;
  readonly served: number;
  /** Default: all. */
  readonly share?: PartitionShare;
}

/** Sources of a topic, from their first record on. */
export function makeSources(
  topic: "events" | "served",
  inputs: InputPartitions,
  marks: { maxDisorderMs: number; futureLeadMs: number },
): LogSource[] {
  return Array.from({ length: inputs[topic] }, (_, partition) => partition)
    .filter((partition) => holdsShare(partition, inputs.share ?? wholeLog))
    .map((partition) => ({ topic, partition, offset: 0, watermark: new Watermark(marks) }));
}

/** Where a source stands, as a role's frame or checkpoint keeps it. */
export interface SavedSource {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly largestMs: number;
}

export function savedSource({ topic, partition, offset, watermark }: LogSource): SavedSource {
  return { topic, partition, offset, largestMs: watermark.largestMs };
}

/** The saved state of a source; undefined where the number of partitions has grown since. */
export function savedOf(saved: readonly SavedSource[], source: LogSource): SavedSource | undefined {
  return saved.find(
    ({ topic, partition }) => topic === source.topic && partition === source.partition,
  );
}

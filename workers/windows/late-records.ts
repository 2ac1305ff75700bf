import { viewOf } from "../../models/core/bytes.ts";
import { RecError } from "../../models/core/errors.ts";
import type { Topic } from "../stores/event-log.ts";

/** A record that came after panes of some windows had closed: those do not count it. */
export interface LateRecord {
  /** Its number in the order of the role's commits. */
  readonly sequence: number;
  readonly topic: Topic;
  readonly partition: number;
  readonly offset: number;
  /** Event time that it counts under, and the watermark of its partition then; epoch ms. */
  readonly timeMs: number;
  readonly watermarkMs: number;
  /** The windows that it missed: bit w is the definition's window w. */
  readonly windows: number;
}

const version = 1;
const bytesOf = 40;
const topics: readonly Topic[] = ["events", "served"];

/** Little endian: u8 version, topic, u16 partition, u32 windows, f64 sequence, offset, times. */
export function encodeLate(late: LateRecord): Uint8Array {
  const bytes = new Uint8Array(bytesOf);
  const view = viewOf(bytes);
  view.setUint8(0, version);
  view.setUint8(1, topics.indexOf(late.topic));
  view.setUint16(2, late.partition, true);
  view.setUint32(4, late.windows, true);
  view.setFloat64(8, late.sequence, true);
  view.setFloat64(16, late.offset, true);
  view.setFloat64(24, late.timeMs, true);
  view.setFloat64(32, late.watermarkMs, true);
  return bytes;
}

/** Throws REC_LATE_VERSION for a record that a newer version wrote. */
export function decodeLate(bytes: Uint8Array): LateRecord {
  const view = viewOf(bytes);
  const topic = topics[view.getUint8(1)];
  if (view.getUint8(0) !== version || topic === undefined) {
    throw new RecError("REC_LATE_VERSION", "topic late was written by a newer version");
  }
  return {
    topic,
    partition: view.getUint16(2, true),
    windows: view.getUint32(4, true),
    sequence: view.getFloat64(8, true),
    offset: view.getFloat64(16, true),
    timeMs: view.getFloat64(24, true),
    watermarkMs: view.getFloat64(32, true),
  };
}

import { text, utf8 } from "../../models/core/bytes.ts";
import { RecError } from "../../models/core/errors.ts";
import type { LogSource, SavedSource } from "../stores/log-source.ts";
import type { LateRun } from "./late-slates.ts";

/**
 * What a commit of the joiner says, beside its samples: how far each input was taken in, from
 * where a restart reads to rebuild the slates that are still kept, and up to which served offset
 * samples have left. All that was taken in and is not in a sample yet is a function of these.
 */
export interface JoinerFrame {
  readonly version: number;
  readonly sources: readonly SavedSource[];
  /** First offset of a rebuild, by source in the same order. */
  readonly rebuildFrom: readonly number[];
  /** By served partition: the samples of every slate before this offset have left. */
  readonly emittedTo: readonly number[];
  /**
   * Interactions that name no request and were received before this had been given to a slate.
   * Older frames have none: then all were, as they were read.
   */
  readonly settledMs?: number;
  /** Slates that are kept and were read late: what was decided by then is not theirs. */
  readonly late?: readonly LateRun[];
  /** Interactions that were decided before the record of their slate was read, since ever. */
  readonly decidedEarly?: number;
}

export const frameVersion = 1;

export function encodeFrame(frame: JoinerFrame): Uint8Array {
  return utf8(JSON.stringify(frame));
}

export function decodeFrame(bytes: Uint8Array): JoinerFrame {
  const frame: JoinerFrame = JSON.parse(text(bytes));
  if (frame.version !== frameVersion) {
    throw new RecError("REC_JOINER_FRAME", `joiner frame version ${frame.version} is unknown`);
  }
  return frame;
}

/** Where a replay of a source starts and what it must not pass. */
export interface ReplayRange {
  readonly source: LogSource;
  readonly from: number;
  readonly to: number;
}

import { viewOf } from "../../models/core/bytes.ts";
import { openEventLog } from "../../workers/stores/open.ts";

/** A thread that tails `events` and notes how old each record is once it is in hand. */

export const tailTopics = { events: 1 } as const;

export interface TailOrder {
  readonly dataDir: string;
  readonly control: SharedArrayBuffer;
  readonly records: number;
}

declare const self: Worker;

self.onmessage = async ({ data }: MessageEvent<TailOrder>) => {
  const { dataDir, control, records } = data;
  const log = openEventLog("embedded:", { dataDir, topics: tailTopics, control });
  const ageMs = new Float64Array(records);
  self.postMessage("tailing");
  for (let at = 0; at < records; ) {
    await log.waitForMore("events", 0, at, 1_000);
    const batch = await log.read("events", 0, at, 1 << 16);
    const nowMs = performance.timeOrigin + performance.now();
    for (let i = 0; i < batch.count; i++) {
      ageMs[at++] = nowMs - viewOf(batch.data).getFloat64(batch.bounds[i] ?? 0, true);
    }
  }
  await log.close();
  self.postMessage(ageMs);
};

/** A thread that tails `events` until `total` records and posts their hash: for a test. */
import { text } from "../../../models/core/bytes.ts";
import { recordOf } from "../event-log.ts";
import { realFileSystem } from "../file-system.ts";
import type { Topics } from "./control.ts";
import { openSegmentLog } from "./segment-log.ts";

interface Order {
  readonly directory: string;
  readonly topics: Topics;
  readonly control: SharedArrayBuffer;
  readonly total: number;
}

declare const self: Worker;

async function tail(order: Order): Promise<{ sum: number; count: number }> {
  const { directory, topics, control } = order;
  const log = openSegmentLog({ directory, topics, control, fileSystem: realFileSystem() });
  let sum = 0;
  let count = 0;
  while (count < order.total) {
    await log.waitForMore("events", 0, count, 1_000);
    const batch = await log.read("events", 0, count, 4_096);
    for (let i = 0; i < batch.count; i++) {
      sum = (Math.imul(sum, 31) + Number(text(recordOf(batch, i)))) | 0;
    }
    count += batch.count;
  }
  await log.close();
  return { sum, count };
}

self.onmessage = async (message: MessageEvent<Order>) => {
  self.postMessage(await tail(message.data));
};

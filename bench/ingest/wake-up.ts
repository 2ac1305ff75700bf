import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecError } from "../../models/core/errors.ts";
import { openEventLog } from "../../workers/stores/open.ts";
import { type TailOrder, tailTopics } from "./tail-thread.ts";

const everyMs = 2;
const giveUpMs = 60_000;

/**
 * Milliseconds from an append until another thread, which sleeps between two records, has it in
 * hand; ascending. Without the sync (`DURABILITY=async`), whose time is the disk's.
 */
export async function wakeUpMs(records: number): Promise<Float64Array> {
  const dataDir = mkdtempSync(join(tmpdir(), "recmaster-wake-up-"));
  const log = openEventLog("embedded:", { dataDir, topics: tailTopics, durability: "async" });
  const thread = new Worker(new URL("./tail-thread.ts", import.meta.url).href);
  try {
    const order: TailOrder = { dataDir, control: log.control, records };
    const ages = tailed(thread, async () => {
      for (let i = 0; i < records; i++) {
        await Bun.sleep(everyMs);
        const record = new Float64Array([performance.timeOrigin + performance.now()]);
        await log.append("events", 0, [new Uint8Array(record.buffer)]);
      }
    });
    thread.postMessage(order);
    return (await ages).sort();
  } finally {
    thread.terminate();
    await log.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** The ages that the thread posts; `begin` runs once it tails. */
function tailed(thread: Worker, begin: () => Promise<void>): Promise<Float64Array> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new RecError("REC_BENCH_STALE", "the tailing thread is not done"));
    const timer = setTimeout(late, giveUpMs);
    thread.onerror = (event) => reject(new RecError("REC_BENCH_THREAD", event.message));
    thread.onmessage = ({ data }: MessageEvent<"tailing" | Float64Array>) => {
      if (data === "tailing") {
        begin().catch(reject);
        return;
      }
      clearTimeout(timer);
      resolve(data);
    };
  });
}

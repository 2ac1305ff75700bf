/** A process that appends until it is killed and prints each offset once it is durable. */
import { utf8 } from "../../../models/core/bytes.ts";
import { realFileSystem } from "../file-system.ts";
import { openSegmentLog } from "./segment-log.ts";

const directory = process.argv[2] ?? "";
const fileSystem = realFileSystem();
const log = openSegmentLog({ directory, fileSystem, topics: { events: 1 }, segmentBytes: 50_000 });

async function appendForEver(): Promise<void> {
  for (;;) {
    const start = log.endOffset("events", 0);
    const records = Array.from({ length: 1 + (start % 7) }, () => utf8("k".repeat(120)));
    const first = await log.append("events", 0, records);
    process.stdout.write(`${first + records.length}\n`);
  }
}

// Several at once, so that a kill meets groups of several appends.
await Promise.all([appendForEver(), appendForEver(), appendForEver()]);

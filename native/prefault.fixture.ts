/** Prints by how many MB this process grew while tables were made ready: for a test. */
import { readFileSync } from "node:fs";
import { IdTable } from "./id-table.ts";
import { PaneTable } from "./pane-table.ts";
import { type ExpectedRows, Prefault } from "./prefault.ts";

/** What the process has in memory, MB. */
function residentMb(): number {
  const status = readFileSync("/proc/self/status", "utf8");
  return Number(/^RssAnon:\s*(\d+) kB/m.exec(status)?.[1]) / 1_024;
}

/** Waits until that many MB have come, or for twenty seconds. */
async function growthMb(expected: ExpectedRows, wantedMb: number): Promise<number> {
  const beforeMb = residentMb();
  const prefault = new Prefault([expected]);
  for (const end = performance.now() + 20_000; performance.now() < end; await Bun.sleep(10)) {
    if (residentMb() - beforeMb >= wantedMb) break;
  }
  prefault.stop();
  return residentMb() - beforeMb;
}

const rows = 2_000_000;
const windows = [{ paneMs: 60_000, panes: 10 }];
const table = PaneTable.create({ rows, counters: 6, windows });
const ids = IdTable.create({ capacity: 6_000_000, bytesMax: 0 });
// 122 MB of slots and 56 MB of full rows; 64 MB of slots and 23 MB of entries.
const panesMb = await growthMb({ table, rows, fullRows: 200_000 }, 175);
const idsMb = await growthMb({ table: ids, rows: 3_000_000 }, 85);
process.stdout.write(JSON.stringify({ panesMb, idsMb, fullRowsUsed: table.fullRowsUsed }));

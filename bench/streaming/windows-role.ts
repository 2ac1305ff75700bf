import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecError } from "../../models/core/errors.ts";
import feed from "../../models/definition/default.ts";
import { rankerShapeOf } from "../../models/ranking/definition-shape.ts";
import { createRanker } from "../../models/ranking/ranker.ts";
import type { RowUsage } from "../../native/index.ts";
import { createSharedState, type SharedState } from "../../workers/shared-state.ts";
import { openEventLog } from "../../workers/stores/open.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { rowTables } from "../../workers/window-partials.ts";
import { makeWindowsRole } from "../../workers/windows/make.ts";
import type { WindowsCore } from "../../workers/windows/windows.ts";
import { EventStream } from "./event-stream.ts";
import { Meter } from "./meter.ts";

export interface StreamSizes {
  readonly events: number;
  readonly users: number;
  readonly items: number;
  readonly categories: number;
  readonly seed: number;
}

/** Events of a second of event time: what freshness is promised at. */
export const perSecond = 20_000;
/** About what one read of the log brings. */
export const batchEvents = 2_500;
export const startMs = Date.UTC(2026, 2, 1);

/** A figure of events that did not count would be none. */
export function requireCounted({ counts }: WindowsCore, events: number): void {
  const { duplicates, unknown, impressionsIgnored } = counts;
  if (counts.events === events && duplicates + unknown + impressionsIgnored === 0) return;
  throw new RecError("REC_BENCH_METHOD", `not all of ${events}: ${JSON.stringify(counts)}`);
}

function bytesUnder(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => statSync(join(folder, name)))
    .reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0);
}

export interface SequenceUsage {
  readonly usage: RowUsage;
  /** Of a row in memory. */
  readonly rowBytes: number;
}

/** Rows of each table that have room in memory. */
export interface RowRoom {
  /** Of a scope's rows those with rings. */
  readonly paneFullRowsMax: number;
  /** Of recent and of seen items. */
  readonly rowsInMemoryMax: number;
}

export interface RoleRun {
  readonly meter: Meter;
  readonly checkpointBytes: number;
  /** Of the file of rows that left memory. */
  readonly rowFileBytes: number;
  /** Of the scopes that have rows of their own. */
  readonly usages: readonly RowUsage[];
  /** Of recent and of seen items. */
  readonly sequences: readonly SequenceUsage[];
  /** Of a row with rings. */
  readonly fullRowBytes: number;
  /** Over the counters and sequences of all rows. */
  readonly hash: string;
}

/**
 * The role as it runs in a server: log on disk, all tables, trends, checkpoints. Default: there is
 * room for all rows in memory.
 */
export async function runWindowsRole(sizes: StreamSizes, room?: RowRoom): Promise<RoleRun> {
  const dataDir = mkdtempSync(join(tmpdir(), "recmaster-windows-"));
  const topics = { events: 1, served: 1, samples: 1, items: 1, commits: 1 };
  const warn = () => {};
  const log = openEventLog("embedded:", {
    ...{ dataDir, topics, durability: "async", clock: systemClock, report: warn },
  });
  const modelFloats = createRanker(rankerShapeOf(feed)).floats;
  const state = createSharedState(feed, {
    ...{ dataDir: null, rowFilesIn: dataDir, modelFloats },
    limits: room ?? {},
  });
  try {
    const stream = new EventStream(feed, { ...sizes, startMs, perSecond });
    for (let done = 0; done < sizes.events; done += batchEvents) {
      await log.append("events", 0, stream.records(batchEvents));
    }
    await log.flush();
    const parts = { state, log, definition: feed, dataDir, clock: systemClock, warn };
    const role = await makeWindowsRole(parts);
    const meter = new Meter();
    await meter.timeAsync(sizes.events, async () => {
      while (!role.caughtUp) await role.step();
      await role.close();
    });
    requireCounted(role.core, sizes.events);
    const tables = state.partials.flatMap(rowTables);
    return {
      ...{ meter, checkpointBytes: bytesUnder(join(dataDir, "checkpoints")) },
      rowFileBytes: bytesUnder(join(dataDir, "rows")),
      usages: tables.map(({ usage }) => usage),
      sequences: [state.recent, state.seen].map(({ usage, memoryRowBytes }) => ({
        ...{ usage, rowBytes: memoryRowBytes },
      })),
      fullRowBytes: tables[0]?.fullRowBytes ?? 0,
      hash: hashOf(state, sizes.users, startMs + (sizes.events / perSecond) * 1_000),
    };
  } finally {
    await log.close();
    state.release();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** Every counter of every row, as readers see them then, and every sequence. */
function hashOf(state: SharedState, users: number, asOfMs: number): string {
  const hasher = new Bun.CryptoHasher("sha256");
  const rowsAtOnce = 4_096;
  for (const table of state.partials.flatMap(rowTables)) {
    const out = new Uint32Array(rowsAtOnce * table.width);
    const rows = new Int32Array(rowsAtOnce);
    for (let first = 0; first < table.rows && first < 1 << 20; first += rowsAtOnce) {
      const count = Math.min(rowsAtOnce, table.rows - first);
      for (let i = 0; i < count; i++) rows[i] = first + i;
      table.read(rows, count, asOfMs, { out, offsets: null, waits: true });
      hasher.update(out.subarray(0, count * table.width));
    }
  }
  for (const table of [state.recent, state.seen]) {
    const out = new Uint32Array(table.length * table.words);
    const offset = new Float64Array(1);
    for (let row = 0; row < users; row++) {
      const count = table.read(row, out, offset, true);
      hasher.update(offset).update(out.subarray(0, count * table.words));
    }
  }
  return hasher.digest("hex");
}

import { join } from "node:path";
import { assert } from "../../models/core/assert.ts";
import type { Clock } from "../../models/core/clock.ts";
import { type RecommenderDefinition, scopeNames } from "../../models/definition/define.ts";
import { definitionHash } from "../../models/definition/hash.ts";
import { limits } from "../../models/limits.ts";
import type { SnapshotFiles } from "../../models/snapshot/format.ts";
import { Prefault } from "../../native/index.ts";
import type { SharedState } from "../shared-state.ts";
import { SnapshotCheckpoints } from "../stores/embedded/snapshot-checkpoints.ts";
import type { TailedLog } from "../stores/event-log.ts";
import { realFileSystem } from "../stores/file-system.ts";
import type { CategoriesOf, PrefaultRows } from "./tables.ts";
import { Trending } from "./trending.ts";
import { WindowsCore } from "./windows.ts";
import { WindowsRole } from "./worker.ts";

export interface WindowsParts {
  readonly definition: RecommenderDefinition;
  readonly state: SharedState;
  readonly log: TailedLog;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly warn: (text: string) => void;
  /** Which partition of users; default: the first. */
  readonly partition?: number;
  /** Default: the real one. */
  readonly files?: SnapshotFiles;
}

/** Trends, and the core that counts a partition of users into shared state. */
export function windowsOver(
  of: Pick<WindowsParts, "definition" | "state" | "log"> & { readonly dedupIdsMax?: number },
  partition = 0,
): {
  readonly core: WindowsCore;
  readonly trending: Trending;
  readonly prefault: PrefaultRows;
} {
  const { state, log, definition, dedupIdsMax = limits.dedupIdsMax } = of;
  const partitions = state.partials.length;
  const tables = state.partials[partition];
  assert(tables !== undefined, `there is a partition ${partition}`);
  const categoriesOf: CategoriesOf = (itemRow, out) =>
    state.itemAttributes.categoriesOf(itemRow, out);
  const { trending: table } = state;
  const trending = new Trending({
    ...{ table, categoriesOf, listLength: table.length },
    partials: { tables: state.activity, own: partition },
  });
  const core = new WindowsCore({
    ...{ definition, activity: trending, seen: state.seen },
    tables: { ...tables, recent: state.recent },
    partitions: {
      ...{ events: log.partitions("events"), served: log.partitions("served") },
      share: { partition, partitions },
    },
    // Each partition meets its share of the ids.
    dedupIdsMax: Math.ceil(dedupIdsMax / partitions),
  });
  // In the order in which a checkpoint's rows are loaded; ids of pairs are the first to be written.
  const prefault: PrefaultRows = (expected) =>
    new Prefault([
      ...scopeNames.map((scope) => ({ table: tables[scope], ...expected[scope] })),
      { table: tables.pairs, rows: expected.userCategory.rows },
    ]);
  return { core, trending, prefault };
}

/** The role of a partition, restored from its newest checkpoint in `dataDir`. */
export async function makeWindowsRole(parts: WindowsParts): Promise<WindowsRole> {
  const { log, definition, clock, warn, partition = 0 } = parts;
  const made = windowsOver(parts, partition);
  const checkpoints = new SnapshotCheckpoints({
    files: parts.files ?? realFileSystem(),
    directory: join(parts.dataDir, windowsCheckpoints(partition)),
    definitionHash: definitionHash(definition),
    clock,
    report: warn,
  });
  return WindowsRole.open({ log, ...made, partition, clock, checkpoints, warn });
}

/** Folder of a partition's checkpoints in the data folder. */
export function windowsCheckpoints(partition: number): string {
  return `checkpoints/windows${partition === 0 ? "" : `-${partition}`}`;
}

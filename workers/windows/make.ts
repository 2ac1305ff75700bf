import { join } from "node:path";
import type { Clock } from "../../models/core/clock.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { definitionHash } from "../../models/definition/hash.ts";
import type { SnapshotFiles } from "../../models/snapshot/format.ts";
import type { SharedState } from "../shared-state.ts";
import { SnapshotCheckpoints } from "../stores/embedded/snapshot-checkpoints.ts";
import type { TailedLog } from "../stores/event-log.ts";
import { realFileSystem } from "../stores/file-system.ts";
import type { CategoriesOf } from "./tables.ts";
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
  /** Default: the real one. */
  readonly files?: SnapshotFiles;
}

/** The windows role over shared state, restored from its newest checkpoint in `dataDir`. */
export async function makeWindowsRole(parts: WindowsParts): Promise<WindowsRole> {
  const { state, log, definition, clock, warn } = parts;
  const categoriesOf: CategoriesOf = (itemRow, out) =>
    state.itemAttributes.categoriesOf(itemRow, out);
  const { trending: table } = state;
  const trending = new Trending({ table, categoriesOf, listLength: table.length });
  const core = new WindowsCore({
    definition,
    tables: { ...state.windows, pairs: state.userCategoryPairs, recent: state.recent },
    partitions: { events: log.partitions("events"), served: log.partitions("served") },
    activity: trending,
    seen: state.seen,
  });
  const checkpoints = new SnapshotCheckpoints({
    files: parts.files ?? realFileSystem(),
    directory: join(parts.dataDir, "checkpoints", "windows"),
    definitionHash: definitionHash(definition),
    clock,
    report: warn,
  });
  return WindowsRole.open({ log, core, clock, checkpoints, trending, warn });
}

import { join } from "node:path";
import { definitionHash } from "../../models/definition/hash.ts";
import { CountReporter } from "../count-reporter.ts";
import { type RoleContext, serveRole } from "../role-thread.ts";
import { SnapshotCheckpoints } from "../stores/embedded/snapshot-checkpoints.ts";
import { realFileSystem } from "../stores/file-system.ts";
import { systemClock } from "../system-clock.ts";
import type { CategoriesOf, WindowTables } from "./tables.ts";
import { Trending } from "./trending.ts";
import { WindowsCore } from "./windows.ts";
import { runWindows, WindowsRole } from "./worker.ts";

/** Entry of the windows thread. */
serveRole(async (context) => {
  const { state, stop } = context;
  const role = await openRole(context);
  const counts = countReporter(context, role.core);
  while (!stop.stopped && !role.caughtUp) await role.step();
  context.post({ kind: "ready" });
  await runWindows(role, stop, () => {
    counts.report();
    const delayMs = systemClock.nowMs() - role.core.acceptedMs;
    if (role.core.acceptedMs > 0) {
      state.metrics.observe("rec_windows_accepted_to_applied_ms", delayMs);
    }
  });
});

async function openRole(context: RoleContext): Promise<WindowsRole> {
  const { state, log, definition, init, warn } = context;
  const categoriesOf: CategoriesOf = (itemRow, out) =>
    state.itemAttributes.categoriesOf(itemRow, out);
  const { trending: table } = state;
  const trending = new Trending({ table, categoriesOf, listLength: table.length });
  const core = new WindowsCore({
    definition,
    tables: tablesOf(context),
    partitions: { events: log.partitions("events"), served: log.partitions("served") },
    activity: trending,
    recentLength: state.recent.length,
  });
  const checkpoints = new SnapshotCheckpoints({
    files: realFileSystem(),
    directory: join(init.dataDir, "checkpoints", "windows"),
    definitionHash: definitionHash(definition),
    clock: systemClock,
    report: warn,
  });
  return WindowsRole.open({ log, core, clock: systemClock, checkpoints, trending, warn });
}

function tablesOf({ state }: RoleContext): WindowTables {
  return { ...state.windows, pairs: state.userCategoryPairs, recent: state.recent };
}

function countReporter({ state }: RoleContext, { counts }: WindowsCore): CountReporter {
  return new CountReporter(state.metrics, [
    ["rec_windows_events_total", () => counts.events],
    ["rec_windows_duplicates_total", () => counts.duplicates],
    ["rec_windows_late_total", () => counts.late],
    ["rec_windows_future_total", () => counts.future],
    ["rec_windows_served_items_total", () => counts.servedItems],
    ['rec_limit_reached_total{limit="userCategoryPairsMax"}', () => counts.pairsRefused],
  ]);
}

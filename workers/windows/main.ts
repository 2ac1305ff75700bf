import type { RowUsage } from "../../native/index.ts";
import { CountReporter } from "../count-reporter.ts";
import { holdForAnswer, observeFreshness } from "../freshness.ts";
import { partitionsOf } from "../role-messages.ts";
import { type RoleContext, serveRole } from "../role-thread.ts";
import type { SharedState } from "../shared-state.ts";
import { systemClock } from "../system-clock.ts";
import { aggregateTables, rowTables } from "../window-partials.ts";
import { makeWindowsRole } from "./make.ts";
import type { WindowsCore } from "./windows.ts";
import { runWindows, type WindowsRole } from "./worker.ts";

/** Entry of a windows thread: it takes in the partitions that are its own. */
serveRole(async (context) => {
  const { state, stop, log, definition, init, warn } = context;
  const { dataDir } = init;
  const clock = systemClock;
  const counts = new Map<WindowsRole, () => void>();
  for (const partition of partitionsOf(init, state.partials.length)) {
    const parts = { state, log, definition, dataDir, clock, warn, partition };
    const role = await makeWindowsRole(parts);
    counts.set(role, countReporter(context, role.core, partition));
    while (!stop.stopped && !role.caughtUp) await role.step();
  }
  context.post({ kind: "ready" });
  const readyMs = clock.nowMs();
  const afterStep = (role: WindowsRole) => {
    counts.get(role)?.();
    state.metrics.set('rec_known_events{role="windows"}', role.core.ids.size);
    state.metrics.set("rec_windows_rows_filed", filedRows(state));
    const { oldest } = role.core;
    role.core.oldest = null;
    // A step may have read slates alone, or history that was accepted in its own time.
    if (oldest === null || oldest.acceptedMs < readyMs) return;
    const { timeMs: eventMs, acceptedMs } = oldest;
    observeFreshness(state.metrics, "windows", { eventMs, acceptedMs }, clock.nowMs());
    holdForAnswer(state.metrics, { eventMs, acceptedMs }, clock.nowMs());
  };
  await runWindows([...counts.keys()], stop, { afterStep, warn });
});

/** Reports what has come since it was called last. */
function countReporter(
  { state }: RoleContext,
  { counts }: WindowsCore,
  partition: number,
): () => void {
  const own = state.partials.slice(partition, partition + 1);
  const panes = own.flatMap(rowTables);
  // Sequences of all users stand in one table: the first partition's owner tells of it.
  const shared = partition === 0 ? [state.recent, state.seen] : [];
  const whole = [...own.flatMap(aggregateTables), ...shared];
  let ofPanes = usageOf(panes);
  let ofWhole = usageOf(whole);
  const both = (of: keyof RowUsage) => () => ofPanes[of] + ofWhole[of];
  const reporter = new CountReporter(state.metrics, [
    ["rec_windows_events_total", () => counts.events],
    ["rec_windows_duplicates_total", () => counts.duplicates],
    ["rec_windows_late_total", () => counts.late],
    ["rec_windows_future_total", () => counts.future],
    ["rec_windows_served_items_total", () => counts.servedItems],
    ['rec_limit_reached_total{limit="filedRowsMax"}', () => ofWhole.evicted],
    ['rec_limit_reached_total{limit="paneFiledRowsMax"}', () => ofPanes.evicted],
    ['rec_limit_reached_total{limit="paneFullRowsMax"}', () => ofPanes.movedOut],
    ['rec_limit_reached_total{limit="rowsInMemoryMax"}', () => ofWhole.movedOut],
    ["rec_windows_rows_brought_back_total", both("broughtBack")],
    ["rec_windows_rows_expired_total", both("expired")],
    ["rec_windows_rows_moved_out_total", both("movedOut")],
    ["rec_windows_rows_unready_total", both("unready")],
    ['rec_limit_reached_total{limit="userCategoryPairsMax"}', () => counts.pairsRefused],
  ]);
  return () => {
    ofPanes = usageOf(panes);
    ofWhole = usageOf(whole);
    reporter.report();
  };
}

type UsedTable = { readonly usage: RowUsage };

function filedRows({ partials, recent, seen }: SharedState): number {
  const tables = [...partials.flatMap(rowTables), ...partials.flatMap(aggregateTables)];
  return usageOf([...tables, recent, seen]).filed;
}

function usageOf(tables: readonly UsedTable[]): RowUsage {
  const usages = tables.map(({ usage }) => usage);
  const sum = (of: keyof RowUsage) => usages.reduce((total, usage) => total + usage[of], 0);
  return {
    ...{ inMemory: sum("inMemory"), filed: sum("filed"), evicted: sum("evicted") },
    ...{ movedOut: sum("movedOut"), broughtBack: sum("broughtBack") },
    ...{ expired: sum("expired"), unready: sum("unready") },
  };
}

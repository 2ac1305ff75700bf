import type { PaneTableUsage } from "../../native/index.ts";
import { CountReporter } from "../count-reporter.ts";
import { holdForAnswer, observeFreshness } from "../freshness.ts";
import { partitionsOf } from "../role-messages.ts";
import { type RoleContext, serveRole } from "../role-thread.ts";
import { systemClock } from "../system-clock.ts";
import type { WindowPartial } from "../window-partials.ts";
import { makeWindowsRole } from "./make.ts";
import type { WindowsCore } from "./windows.ts";
import { runWindows, type WindowsRole } from "./worker.ts";

/** Entry of a windows thread: it takes in the partitions that are its own. */
serveRole(async (context) => {
  const { state, stop, log, definition, init, warn } = context;
  const { dataDir } = init;
  const clock = systemClock;
  const counts = new Map<WindowsRole, CountReporter>();
  for (const partition of partitionsOf(init, state.partials.length)) {
    const parts = { state, log, definition, dataDir, clock, warn, partition };
    const role = await makeWindowsRole(parts);
    counts.set(role, countReporter(context, role.core, partition));
    while (!stop.stopped && !role.caughtUp) await role.step();
  }
  context.post({ kind: "ready" });
  const readyMs = clock.nowMs();
  const afterStep = (role: WindowsRole) => {
    counts.get(role)?.report();
    state.metrics.set('rec_known_events{role="windows"}', role.core.ids.size);
    state.metrics.set("rec_windows_rows_filed", sumOf(state.partials, "filed"));
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

function countReporter(
  { state }: RoleContext,
  { counts }: WindowsCore,
  partition: number,
): CountReporter {
  const own = state.partials.slice(partition, partition + 1);
  const sum = (name: keyof PaneTableUsage) => () => sumOf(own, name);
  return new CountReporter(state.metrics, [
    ["rec_windows_events_total", () => counts.events],
    ["rec_windows_duplicates_total", () => counts.duplicates],
    ["rec_windows_late_total", () => counts.late],
    ["rec_windows_future_total", () => counts.future],
    ["rec_windows_served_items_total", () => counts.servedItems],
    ['rec_limit_reached_total{limit="paneFiledRowsMax"}', sum("evicted")],
    ['rec_limit_reached_total{limit="paneFullRowsMax"}', sum("movedOut")],
    ["rec_windows_rows_brought_back_total", sum("broughtBack")],
    ["rec_windows_rows_expired_total", sum("expired")],
    ["rec_windows_rows_moved_out_total", sum("movedOut")],
    ["rec_windows_rows_unready_total", sum("unready")],
    ['rec_limit_reached_total{limit="userCategoryPairsMax"}', () => counts.pairsRefused],
  ]);
}

/** Over the tables of all scopes that have rows of their own. */
function sumOf(partials: readonly WindowPartial[], name: keyof PaneTableUsage): number {
  const tables = partials.flatMap((one) => [one.user, one.item, one.category, one.userCategory]);
  return tables.reduce((sum, table) => sum + table.usage[name], 0);
}

import { CountReporter } from "../count-reporter.ts";
import { holdForAnswer, observeFreshness } from "../freshness.ts";
import { partitionsOf } from "../role-messages.ts";
import { type RoleContext, serveRole } from "../role-thread.ts";
import { systemClock } from "../system-clock.ts";
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
  const { user, item, category, userCategory } = state.partials[partition]!;
  const tables = [user, item, category, userCategory];
  const evicted = () => tables.reduce((sum, table) => sum + table.evicted, 0);
  return new CountReporter(state.metrics, [
    ["rec_windows_events_total", () => counts.events],
    ["rec_windows_duplicates_total", () => counts.duplicates],
    ["rec_windows_late_total", () => counts.late],
    ["rec_windows_future_total", () => counts.future],
    ["rec_windows_served_items_total", () => counts.servedItems],
    ['rec_limit_reached_total{limit="paneFullRowsMax"}', evicted],
    ['rec_limit_reached_total{limit="userCategoryPairsMax"}', () => counts.pairsRefused],
  ]);
}

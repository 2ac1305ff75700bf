import { CountReporter } from "../count-reporter.ts";
import { holdForAnswer, observeFreshness } from "../freshness.ts";
import { type RoleContext, serveRole } from "../role-thread.ts";
import { systemClock } from "../system-clock.ts";
import { makeWindowsRole } from "./make.ts";
import type { WindowsCore } from "./windows.ts";
import { runWindows } from "./worker.ts";

/** Entry of the windows thread. */
serveRole(async (context) => {
  const { state, stop, log, definition, init, warn } = context;
  const { dataDir } = init;
  const clock = systemClock;
  const role = await makeWindowsRole({ state, log, definition, dataDir, clock, warn });
  const counts = countReporter(context, role.core);
  while (!stop.stopped && !role.caughtUp) await role.step();
  context.post({ kind: "ready" });
  const readyMs = clock.nowMs();
  const afterStep = () => {
    counts.report();
    const { oldest } = role.core;
    role.core.oldest = null;
    // A step may have read slates alone, or history that was accepted in its own time.
    if (oldest === null || oldest.acceptedMs < readyMs) return;
    const { timeMs: eventMs, acceptedMs } = oldest;
    observeFreshness(state.metrics, "windows", { eventMs, acceptedMs }, clock.nowMs());
    holdForAnswer(state.metrics, { eventMs, acceptedMs }, clock.nowMs());
  };
  await runWindows(role, stop, { afterStep, warn });
});

function countReporter({ state }: RoleContext, { counts }: WindowsCore): CountReporter {
  const evicted = () => Object.values(state.windows).reduce((sum, table) => sum + table.evicted, 0);
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

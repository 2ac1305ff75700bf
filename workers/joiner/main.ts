import { CountReporter } from "../count-reporter.ts";
import { observeFreshness } from "../freshness.ts";
import { type RoleContext, serveRole } from "../role-thread.ts";
import { systemClock } from "../system-clock.ts";
import { JoinerCore } from "./joiner.ts";
import { JoinerRole, runJoiner } from "./worker.ts";

/** Entry of the joiner's thread. */
serveRole(async (context) => {
  const { log, definition, stop, warn } = context;
  const emitAfterMs = context.init.joinerEmitAfterMs;
  const core = new JoinerCore({
    definition,
    clock: systemClock,
    partitions: { events: log.partitions("events"), served: log.partitions("served") },
    ...(emitAfterMs === null ? {} : { emitAfterMs }),
  });
  const role = await JoinerRole.open({ log, core });
  const counts = countReporter(context, core);
  context.post({ kind: "ready" });
  const { metrics } = context.state;
  const readyMs = systemClock.nowMs();
  let observedMs = 0;
  const afterStep = () => {
    counts.report();
    tellSizes(metrics, core);
    const nowMs = systemClock.nowMs();
    const { emittedServedMs, oldest } = core;
    core.oldest = null;
    if (emittedServedMs !== observedMs) {
      metrics.observe("rec_freshness_served_to_sample_ms", nowMs - emittedServedMs);
    }
    observedMs = emittedServedMs;
    // Others were accepted while nobody joined.
    if (oldest !== null && oldest.acceptedMs >= readyMs) {
      observeFreshness(metrics, "sample", oldest, nowMs);
    }
  };
  await runJoiner(role, stop, { afterStep, warn });
});

function tellSizes(metrics: RoleContext["state"]["metrics"], { live }: JoinerCore): void {
  metrics.set("rec_joiner_live_items", live.items);
  metrics.set("rec_joiner_waiting_interactions", live.waiting);
  metrics.set('rec_known_events{role="joiner"}', live.ids);
}

function countReporter({ state }: RoleContext, { counts }: JoinerCore): CountReporter {
  return new CountReporter(state.metrics, [
    ["rec_joiner_samples_total", () => counts.primaries],
    ["rec_joiner_corrections_total", () => counts.corrections],
    ["rec_joiner_duplicates_total", () => counts.duplicates],
    ["rec_joiner_orphans_total", () => counts.orphans],
    ["rec_joiner_outside_total", () => counts.outside],
    ["rec_joiner_records_missing_total", () => counts.recordsMissing],
    ["rec_joiner_left_out_total", () => counts.leftOut],
    ["rec_joiner_unseen_total", () => counts.unseen],
    ['rec_limit_reached_total{limit="joinerLiveMax"}', () => counts.evictedItems],
  ]);
}

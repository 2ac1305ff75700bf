import { CountReporter } from "../count-reporter.ts";
import { observeFreshness } from "../freshness.ts";
import { partitionsOf } from "../role-messages.ts";
import { type RoleContext, serveRole } from "../role-thread.ts";
import { systemClock } from "../system-clock.ts";
import type { JoinerCore } from "./joiner.ts";
import { makeJoinerRole } from "./make.ts";
import { type JoinerRole, runJoiners } from "./worker.ts";

/** Entry of a joiner thread: it joins the partitions that are its own. */
serveRole(async (context) => {
  const { log, definition, stop, warn, init } = context;
  const { joinerEmitAfterMs: emitAfterMs } = init;
  const clock = systemClock;
  const reports = new Map<JoinerRole, () => void>();
  for (const partition of partitionsOf(init, log.partitions("events"))) {
    const late = emitAfterMs === null ? {} : { emitAfterMs };
    const role = await makeJoinerRole({ log, definition, clock, partition, ...late });
    reports.set(role, reporter(context, role.core));
  }
  context.post({ kind: "ready" });
  const afterStep = (role: JoinerRole) => reports.get(role)?.();
  await runJoiners([...reports.keys()], stop, { afterStep, warn });
});

/** Tells of a core's steps, from now on. */
function reporter(context: RoleContext, core: JoinerCore): () => void {
  const counts = countReporter(context, core);
  const { metrics } = context.state;
  const readyMs = systemClock.nowMs();
  let observedMs = 0;
  return () => {
    counts.report();
    tellSizes(metrics, core);
    const nowMs = systemClock.nowMs();
    const { emittedServedMs, oldest } = core.emission;
    core.emission.oldest = null;
    if (emittedServedMs !== observedMs) {
      metrics.observe("rec_freshness_served_to_sample_ms", nowMs - emittedServedMs);
    }
    observedMs = emittedServedMs;
    // Others were accepted while nobody joined.
    if (oldest !== null && oldest.acceptedMs >= readyMs) {
      observeFreshness(metrics, "sample", oldest, nowMs);
    }
  };
}

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
    ["rec_joiner_decided_early_total", () => counts.decidedEarly],
    ["rec_joiner_left_out_total", () => counts.leftOut],
    ["rec_joiner_unseen_total", () => counts.unseen],
    ['rec_limit_reached_total{limit="joinerLiveMax"}', () => counts.evictedItems],
  ]);
}

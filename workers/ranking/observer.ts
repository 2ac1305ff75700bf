import type { PipelineObserver } from "./pipeline/stages.ts";
import type { Metrics } from "./state.ts";

/** Stages whose time is worth a histogram; the rest is small. */
const timed = ["query", "recall", "attributes", "filters", "windows", "features", "model"] as const;
const timedNames = new Map<string, string>(
  timed.map((stage) => [stage, `rec_ranking_stage_us{stage="${stage}"}`]),
);

/** The pipeline's events as metrics. */
export function pipelineObserver(metrics: Metrics): PipelineObserver {
  return {
    stage(name, microseconds) {
      const metric = timedNames.get(name);
      if (metric !== undefined) metrics.observe(metric, microseconds);
    },
    leftOut(_component, error) {
      const why = error === null ? "late" : "failed";
      metrics.add(`rec_ranking_left_out_total{why="${why}"}`, 1);
    },
    overflowed(count) {
      metrics.add('rec_limit_reached_total{limit="candidatesMax"}', count);
    },
    removed(reason, count) {
      const filter = reason.slice(0, reason.indexOf(":"));
      metrics.add(`rec_ranking_removed_total{filter="${filter}"}`, count);
    },
  };
}

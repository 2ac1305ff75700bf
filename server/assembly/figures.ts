import type { HeadMetrics } from "../../models/training/progressive.ts";
import { nativeObjects } from "../../native/index.ts";
import { freshnessNames } from "../../workers/freshness.ts";
import { counterNames, histogramNames, metricHelp, metricNames } from "../../workers/metrics.ts";
import type { SharedState } from "../../workers/shared-state.ts";
import { type EventLog, type Topic, topics } from "../../workers/stores/event-log.ts";
import { type Gauge, prometheusText } from "../metrics/exposition.ts";
import type { RecentQuantiles } from "./recent-quantiles.ts";

const names = { ...metricNames, help: metricHelp };

/** What a partition of the log holds. */
export interface LogPosition {
  readonly topic: Topic;
  readonly partition: number;
  readonly startOffset: number;
  readonly endOffset: number;
}

type LogOffsets = Pick<EventLog, "partitions" | "startOffset" | "endOffset">;

export function logPositions(log: LogOffsets): LogPosition[] {
  return topics.flatMap((topic) =>
    Array.from({ length: log.partitions(topic) }, (_, partition) => ({
      ...{ topic, partition },
      startOffset: log.startOffset(topic, partition),
      endOffset: log.endOffset(topic, partition),
    })),
  );
}

/** What is true now, beside what has been counted. */
export interface Gauges {
  readonly modelVersion: number;
  /** Whether the trainer learns; it rests while a model from a file serves. */
  readonly trains: boolean;
  readonly indexGeneration: number;
  readonly queuedRequests: number;
  readonly rankWorkersReplaced: number;
  readonly eventLogEnd: number;
  readonly samplesEnd: number;
  /** Ids that deduplication knows, and for how long all of them have been known. */
  readonly dedup: { readonly ids: number; readonly ms: number };
  readonly log: readonly LogPosition[];
  /** How each head did on the latest samples, before they were learned. */
  readonly progressive: readonly HeadMetrics[];
}

/** Prometheus text of `/metrics`. */
export function exposition(state: SharedState, gauges: Gauges): string {
  const gauge = (name: string, help: string, value: number): Gauge => ({ name, help, value });
  return prometheusText(names, state.metrics.read(), [
    gauge("rec_model_published_version", "Version that answers now.", gauges.modelVersion),
    gauge("rec_recall_generation", "Index generation that answers now.", gauges.indexGeneration),
    gauge("rec_ranking_queued_requests", "Requests that wait or run.", gauges.queuedRequests),
    gauge("rec_ranking_replaced_workers", "Threads replaced.", gauges.rankWorkersReplaced),
    gauge("rec_ids_users", "Users with a row.", state.users.size),
    gauge("rec_ids_items", "Items with a row.", state.items.size),
    gauge("rec_ids_categories", "Categories with a row.", state.categories.size),
    gauge("rec_native_objects", "Native objects that are not released.", nativeObjects()),
    gauge("rec_events_log_offset", "Events in the log.", gauges.eventLogEnd),
    gauge("rec_joiner_samples_offset", "Samples in the log.", gauges.samplesEnd),
    ...dedupGauges(gauges.dedup),
    ...gauges.log.flatMap(logGauges),
    ...gauges.progressive.flatMap(headGauges),
  ]);
}

/** Beyond either a second delivery counts as a new event. */
function dedupGauges({ ids, ms }: Gauges["dedup"]): Gauge[] {
  const since = "Since when they are known: no second delivery of that time was taken for new.";
  return [
    { name: "rec_events_dedup_horizon_ids", help: "Latest event ids that are known.", value: ids },
    { name: "rec_events_dedup_horizon_seconds", help: since, value: ms / 1_000 },
  ];
}

function logGauges({ topic, partition, startOffset, endOffset }: LogPosition): Gauge[] {
  const labels = { topic, partition: String(partition) };
  return [
    {
      ...{ name: "rec_log_start_offset", value: startOffset, labels },
      help: "First record that is kept: those before it were dropped (LOG_RETENTION).",
    },
    {
      ...{ name: "rec_log_end_offset", value: endOffset, labels },
      help: "Records that were ever written.",
    },
  ];
}

/** Progressive validation of one head over its latest samples. */
function headGauges({ head, loss, auc, gauc, calibration }: HeadMetrics): Gauge[] {
  const labels = { head };
  const of = (name: string, help: string, value: number) => ({
    ...{ name: `rec_model_progressive_${name}`, help, value, labels },
  });
  return [
    of("loss", "Log loss before learning; seconds heads: error of log1p seconds.", loss),
    of("auc", "Area under the curve before learning.", auc),
    of("gauc", "The same within each user.", gauc),
    of("calibration_ratio", "Predicted over true, in sum.", calibration),
  ];
}

/** Figures of the status page: plain numbers by name; quantiles of the last 10 to 20 s or null. */
export function statusFigures(
  state: SharedState,
  gauges: Gauges,
  recent: RecentQuantiles,
): Readonly<Record<string, unknown>> {
  const reading = state.metrics.read();
  recent.take(performance.now(), reading.histograms);
  const counter = (name: (typeof counterNames)[number]) =>
    reading.counters[counterNames.indexOf(name)] ?? 0;
  const family = (name: string) =>
    reading.counters.reduce((sum, value, i) => {
      return counterNames[i]?.startsWith(`${name}{`) ? sum + value : sum;
    }, 0);
  const quantile = (q: number, name: (typeof histogramNames)[number]) => {
    const index = histogramNames.indexOf(name);
    const histogram = reading.histograms[index];
    const value = histogram === undefined ? Number.NaN : recent.quantile(q, index, histogram);
    return Number.isFinite(value) ? value : null;
  };
  return {
    recommendTotal: counter('rec_http_requests_total{route="recommend"}'),
    eventsTotal: counter("rec_events_accepted_total"),
    lateTotal: counter("rec_windows_late_total"),
    decidedEarlyTotal: counter("rec_joiner_decided_early_total"),
    samplesTotal: gauges.samplesEnd,
    swapsTotal: counter("rec_model_swaps_total"),
    swapsRefusedTotal: family("rec_model_publishes_refused_total"),
    modelVersion: gauges.modelVersion,
    trains: gauges.trains ? 1 : 0,
    indexGeneration: gauges.indexGeneration,
    recommendMsP50: quantile(0.5, "rec_http_recommend_latency_ms"),
    recommendMsP99: quantile(0.99, "rec_http_recommend_latency_ms"),
    acceptedToWindowsMsP99: quantile(0.99, freshnessNames.windows.accepted),
    sampleToWeightsMsP99: quantile(0.99, "rec_freshness_sample_to_weights_ms"),
    queuedRequests: gauges.queuedRequests,
    serverErrorsTotal: counter("rec_http_server_errors_total"),
    rankWorkersReplaced: gauges.rankWorkersReplaced,
    users: state.users.size,
    items: state.items.size,
  };
}

/**
 * The names of every counter and histogram of the process, in the order in which shared memory
 * holds them: every thread imports this file, so all agree. Keep each list sorted, one line each.
 * Names are `rec_<area>_<noun>_<unit>[_total]`; labels stand in the name: `x_total{route="y"}`.
 */

export const counterNames = [
  "rec_events_accepted_total",
  "rec_events_duplicate_total",
  "rec_events_rejected_total",
  'rec_http_refused_total{reason="auth"}',
  'rec_http_refused_total{reason="busy"}',
  'rec_http_refused_total{reason="input"}',
  'rec_http_refused_total{reason="origin"}',
  'rec_http_requests_total{route="documents"}',
  'rec_http_requests_total{route="events"}',
  'rec_http_requests_total{route="models"}',
  'rec_http_requests_total{route="other"}',
  'rec_http_requests_total{route="popular"}',
  'rec_http_requests_total{route="rank"}',
  'rec_http_requests_total{route="recommend"}',
  'rec_http_requests_total{route="similar"}',
  "rec_http_server_errors_total",
  "rec_items_changed_total",
  'rec_limit_reached_total{limit="appendQueueBytesMax"}',
  'rec_limit_reached_total{limit="candidatesMax"}',
  'rec_limit_reached_total{limit="dedupIdsMax"}',
  'rec_limit_reached_total{limit="inFlightRequestsMax"}',
  'rec_limit_reached_total{limit="rankingInFlightMax"}',
  'rec_limit_reached_total{limit="recallItemsMax"}',
  "rec_ranking_details_hits_total",
  "rec_ranking_details_misses_total",
  "rec_ranking_fallback_answers_total",
  'rec_ranking_left_out_total{why="failed"}',
  'rec_ranking_left_out_total{why="late"}',
  'rec_ranking_removed_total{filter="category"}',
  'rec_ranking_removed_total{filter="eligibility"}',
  'rec_ranking_removed_total{filter="excluded"}',
  'rec_ranking_removed_total{filter="not-given"}',
  'rec_ranking_removed_total{filter="ranked-max"}',
  'rec_ranking_removed_total{filter="seen"}',
  "rec_ranking_served_lost_total",
  "rec_ranking_served_records_total",
  "rec_ranking_workers_lost_total",
  "rec_recall_generations_total",
] as const;

export const histogramNames = [
  "rec_events_append_latency_ms",
  "rec_http_events_latency_ms",
  "rec_http_recommend_latency_ms",
  "rec_http_refusal_latency_ms",
  "rec_ranking_queue_wait_ms",
  "rec_ranking_run_ms",
  'rec_ranking_stage_us{stage="attributes"}',
  'rec_ranking_stage_us{stage="features"}',
  'rec_ranking_stage_us{stage="filters"}',
  'rec_ranking_stage_us{stage="model"}',
  'rec_ranking_stage_us{stage="query"}',
  'rec_ranking_stage_us{stage="recall"}',
  'rec_ranking_stage_us{stage="windows"}',
  "rec_recall_rebuild_duration_ms",
] as const;

export type CounterName = (typeof counterNames)[number];
export type HistogramName = (typeof histogramNames)[number];

/** HELP texts by family (the name without labels). A family without one is not exposed. */
export const metricHelp: Readonly<Record<string, string>> = {
  rec_events_accepted_total: "Events accepted and durable.",
  rec_events_append_latency_ms: "Milliseconds from the hand-over to the log until durable.",
  rec_events_duplicate_total: "Events refused as a second delivery of a known id.",
  rec_events_rejected_total: "Events refused as invalid.",
  rec_http_events_latency_ms: "Milliseconds from the arrival of an event batch to its answer.",
  rec_http_recommend_latency_ms: "Milliseconds from the arrival of a recommend to its answer.",
  rec_http_refusal_latency_ms: "Milliseconds from the arrival of a refused request to its answer.",
  rec_http_refused_total: "Requests refused at the door, by reason.",
  rec_http_requests_total: "Requests, by route.",
  rec_http_server_errors_total: "Answers with a 5xx status other than a refusal for load.",
  rec_items_changed_total: "Item and user documents put or deleted.",
  rec_limit_reached_total: "Times that a limit of models/limits.ts was reached, by limit.",
  rec_ranking_details_hits_total: "Documents of a slate that were at hand when it was chosen.",
  rec_ranking_details_misses_total:
    "Documents of a slate that had to be fetched after it was chosen.",
  rec_ranking_fallback_answers_total:
    "Requests answered without a ranking thread: late, lost or failed.",
  rec_ranking_left_out_total: "Components left out of a request, by why.",
  rec_ranking_queue_wait_ms: "Milliseconds from the hand-over to a ranking thread until it starts.",
  rec_ranking_removed_total: "Candidates removed, by filter.",
  rec_ranking_run_ms: "Milliseconds that a ranking thread takes for a request.",
  rec_ranking_served_lost_total:
    "Slates without a served record: features late, or the log refused.",
  rec_ranking_served_records_total: "Served records appended.",
  rec_ranking_stage_us: "Microseconds of a stage of the request pipeline, by stage.",
  rec_ranking_workers_lost_total: "Ranking threads that threw, hung or ended.",
  rec_recall_generations_total: "Index generations built and published.",
  rec_recall_rebuild_duration_ms: "Milliseconds of work in one rebuild, pauses left out.",
};

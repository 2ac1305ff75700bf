import type { Clock } from "../../models/core/clock.ts";
import { RecError } from "../../models/core/errors.ts";
import { limits } from "../../models/limits.ts";
import { Overdue } from "./overdue.ts";
import type { MetricSink, Ranking } from "./ports.ts";

/**
 * The ranking port with a last line behind it: ranking answers by the deadline, in degraded form
 * if need be; should it ever not, the door does so with a 503 and goes on.
 */
export function watchedRanking(given: {
  ranking: Ranking;
  metrics: MetricSink;
  clock: Clock;
}): Ranking {
  const { ranking, metrics, clock } = given;
  const overdue = new Overdue();
  const late = () => {
    metrics.add('rec_limit_reached_total{limit="deadlineGraceMs"}', 1);
    return new RecError("REC_RANKING_LATE", "ranking did not answer; try again");
  };
  const watch = (answer: Promise<Uint8Array>, deadlineAtMs: number) =>
    overdue.watch(answer, deadlineAtMs - clock.nowMs() + limits.deadlineGraceMs, late);
  return {
    recommend: (request, atMs) => watch(ranking.recommend(request, atMs), atMs),
    rank: (request, atMs) => watch(ranking.rank(request, atMs), atMs),
    similar: (request, atMs) => watch(ranking.similar(request, atMs), atMs),
    popular: (request, atMs) => watch(ranking.popular(request, atMs), atMs),
  };
}

import type { Clock } from "../../models/core/clock.ts";
import { limits } from "../../models/limits.ts";
import { GraphIndex } from "../../native/index.ts";
import type { SharedState } from "../shared-state.ts";
import { createFallback } from "./fallback.ts";
import { RankingPool } from "./pool.ts";
import type { RankingWork } from "./work.ts";

/** Reader numbers from here on belong to other roles. */
const readersMax = limits.readersMax - 8;

/** Starts the ranking threads over the process's state. `served` has a partition for each. */
export function startRankingPool(options: {
  readonly workers: number;
  readonly state: SharedState;
  readonly work: RankingWork;
  readonly clock: Clock;
  readonly releaseServed: (worker: number) => void;
  readonly onLoss?: (worker: number, reason: string) => void;
}): RankingPool<RankingWork> {
  const { workers, state, work, clock, releaseServed, onLoss } = options;
  return new RankingPool<RankingWork>({
    entry: new URL("./main.ts", import.meta.url),
    workers,
    work: () => work,
    readersPerWorker: limits.rankingParallelMax,
    readerBase: 0,
    readersMax,
    inFlightMax: limits.rankingInFlightMax,
    fallback: createFallback({ state, trending: state.trending, clock }),
    clearReader(reader) {
      state.slots.clearReader(reader);
      GraphIndex.clearHolder(reader);
    },
    releaseServed,
    metrics: state.metrics,
    clock,
    ...(onLoss === undefined ? {} : { onLoss }),
  });
}

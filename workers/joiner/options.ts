import type { Clock } from "../../models/core/clock.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import type { InputPartitions } from "../stores/log-source.ts";

export interface JoinerOptions {
  readonly definition: RecommenderDefinition;
  readonly clock: Clock;
  readonly partitions: InputPartitions;
  /**
   * A slate's samples leave when the stream is so far past it. Default: once the watermark closes
   * the longest prompt attribution window (2 minutes + the allowed disorder), so that a sample has
   * all labels but delayed conversions. Shorter trains sooner: what comes later then follows as
   * `correction` samples, so nothing is lost, but an early negative may be a fake one.
   */
  readonly emitAfterMs?: number;
  readonly rowsMax?: number;
  readonly waitingMax?: number;
  readonly dedupIdsMax?: number;
  readonly maxDisorderMs?: number;
  readonly futureLeadMs?: number;
}

import type { SharedHandles } from "../shared-state.ts";
import type { Topics } from "../stores/embedded/control.ts";
import type { LogRetention } from "../stores/open.ts";
import type { RankEngine } from "./open-ranker.ts";

/** What a ranking thread needs to open the same state and the same log; plain data. */
export interface RankingWork {
  /** Path of a definition module; null for the default. */
  readonly definitionPath: string | null;
  readonly handles: SharedHandles;
  readonly eventLogUrl: string;
  readonly dataDir: string;
  readonly topics: Topics;
  readonly control: SharedArrayBuffer;
  readonly durability: "fsync" | "async";
  readonly logRetention: LogRetention;
  /** Documents of likely items are fetched while the model runs. */
  readonly detailsPrefetch: boolean;
  readonly engine: RankEngine;
  readonly seed: number;
}

import { noId } from "../../models/core/bytes.ts";
import type { RankingEngine } from "./engine.ts";

const rounds = 30;

/** Runs the anonymous feed until its code is compiled: the first real request is not the test. */
export async function warmUp(engine: RankingEngine): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    await engine.popular({ requestId: noId, n: 20, category: null, details: false });
  }
}

import type { RankingCall } from "../../workers/ranking/messages.ts";
import { answerCall } from "./work.ts";

/** What piscina's threads run. */
export function answer(call: RankingCall): Uint8Array {
  return answerCall(call);
}

import { assert } from "../../models/core/assert.ts";
import type { RankingCall } from "../../workers/ranking/messages.ts";

/** The same work behind every way to hand a request over. */

/** A request of usual size that asks for `workUs` of processor time and so many bytes. */
export function callOf(user: number, workUs: number, answerBytes: number): RankingCall {
  return {
    kind: "recommend",
    request: {
      ...{ requestId: [1, 2, 3, user], user: `user-${user}`, recent: [], n: 20 },
      context: { workUs, answerBytes, country: "de", device: "phone" },
      ...{ exclude: [], categories: [], weights: null, details: false, explain: false },
    },
  };
}

/** Keeps the processor busy for as long as asked, then answers. */
export function answerCall(call: RankingCall): Uint8Array {
  assert(call.kind === "recommend", "the work is asked for in a recommend request");
  const { workUs, answerBytes } = call.request.context;
  const until = performance.now() + Number(workUs) / 1_000;
  while (performance.now() < until);
  return new Uint8Array(Number(answerBytes)).fill(32);
}

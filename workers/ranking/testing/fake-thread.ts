import { utf8 } from "../../../models/core/bytes.ts";
import { RecError } from "../../../models/core/errors.ts";
import { systemClock } from "../../system-clock.ts";
import type { RankingCall } from "../messages.ts";
import { noMetrics } from "../state.ts";
import { serveCalls } from "../thread.ts";

/** A ranking thread that does what the request's user is named after. */

const sleepWord = new Int32Array(new SharedArrayBuffer(4));

function obey(call: RankingCall, worker: number): Uint8Array | Promise<Uint8Array> {
  const user = call.kind === "recommend" ? call.request.user : null;
  const answer = () => utf8(JSON.stringify({ worker, user }));
  if (user === "hang") for (;;) Atomics.load(sleepWord, 0);
  if (user === "exit") process.exit(1);
  if (user === "throw later") {
    setTimeout(() => {
      throw new Error("thrown by a timer");
    });
  }
  if (user === "throw") throw new Error("thrown by the handler");
  if (user === "refuse") throw new RecError("REC_ITEM_UNKNOWN", "no such item", { path: "id" });
  if (user === "never") return new Promise(() => {});
  if (user === "slow") return Bun.sleep(30).then(answer);
  if (user === "busy") Bun.sleepSync(20);
  if (user === "large") return new Uint8Array(3 << 20).fill(32);
  return answer();
}

serveCalls<null>(async ({ worker, readers }) => ({
  answer: (call) => obey(call, worker),
  generation() {},
  documentsChanged() {},
  close: async () => {},
  metrics: noMetrics,
  clock: systemClock,
  parallel: readers,
}));

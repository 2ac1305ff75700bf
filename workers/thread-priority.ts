import { setThreadNice, setThreadSlice } from "../native/index.ts";
import type { RoleInit } from "./role-messages.ts";

/**
 * Who gets a core first. Requests take many short turns; a thread with a short slice that wakes up
 * takes the place of one with a longer slice instead of waiting for its end.
 */
const requestSliceUs = 200;
const backgroundSliceUs = 3_000;

/**
 * Background threads yield to those that answer requests; counters that the next slate reads go
 * before samples, and what can wait takes what is left. Not SCHED_IDLE: beside a neighbour that
 * wants every core such a thread gets next to nothing, and a stop has to wait for it.
 */
const niceOf: Readonly<Record<RoleInit["role"], number>> = {
  ...{ windows: 10, joiner: 15, trainer: 19, recall: 19 },
};

/** The calling thread answers requests. */
export function answerFirst(): void {
  setThreadSlice(requestSliceUs);
}

/** The calling thread works for a role in the background; a thread inherits its maker's slice. */
export function giveWay(role: RoleInit["role"]): void {
  setThreadNice(niceOf[role]);
  setThreadSlice(backgroundSliceUs);
}

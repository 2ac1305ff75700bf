import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setPriority } from "node:os";
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

/** Threads of the engine that compile and that give memory back: they work in long turns. */
const engineThreads = /^(JITWorker|mi-scavenger)/;
const engineNice = 10;
const lookEveryMs = 1_000;

/**
 * The engine's own threads yield to those that answer requests: they come and go, have the nice
 * value of whoever started them, and are known by name only. Not the collector's: those that
 * answer wait for it. Does nothing where the system has no such list.
 */
export function lowerEngineThreads(): void {
  const folder = "/proc/self/task";
  for (const thread of existsSync(folder) ? readdirSync(folder) : []) {
    try {
      const name = readFileSync(`${folder}/${thread}/comm`, "utf8");
      if (engineThreads.test(name)) setPriority(Number(thread), engineNice);
    } catch {
      // It has ended, or is lower already and may not be raised.
    }
  }
}

/** Lowers those that come until what is returned is called. */
export function keepEngineThreadsLow(): () => void {
  const timer = setInterval(lowerEngineThreads, lookEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}

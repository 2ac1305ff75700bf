import { readFileSync, readlinkSync } from "node:fs";

/** What a thread of this process has had of the cores so far. */
export interface ThreadUsage {
  /** Milliseconds on a core. */
  readonly ranMs: number;
  /** It runs or waits for a core; false: it sleeps. */
  readonly runnable: boolean;
}

/** By the system's number of the thread; null where it is gone, or the system does not tell. */
export function threadUsage(thread: number): ThreadUsage | null {
  const path = `/proc/self/task/${thread}`;
  try {
    const [ran] = readFileSync(`${path}/schedstat`, "utf8").split(" ");
    const stat = readFileSync(`${path}/stat`, "utf8");
    // The name before it may hold anything.
    const state = stat.at(stat.lastIndexOf(")") + 2);
    return { ranMs: Number(ran) / 1e6, runnable: state === "R" };
  } catch {
    return null;
  }
}

/** The system's number of the calling thread; 0 where the system does not tell. */
export function callingThread(): number {
  try {
    return Number(readlinkSync("/proc/thread-self").split("/").at(-1));
  } catch {
    return 0;
  }
}

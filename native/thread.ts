import { loadNative } from "./load.ts";

/**
 * Sets the nice value (-20 to 19, higher gives way to lower) of the calling thread alone and
 * returns the value in force. Lowering it again may need a privilege: REC_NATIVE_IO.
 */
export function setThreadNice(nice: number): number {
  return loadNative<{ threadNice(nice: number): number }>().threadNice(nice);
}

/** Names the calling thread for `top -H`, `ps -L` and profilers; 15 bytes count. */
export function setThreadName(name: string): void {
  loadNative<{ threadName(name: string): void }>().threadName(name);
}

/**
 * Asks for time slices of so many microseconds (100 to 100,000) for the calling thread. It gets no
 * more of the processor by that, but sooner: a thread that wakes up with a shorter slice than the
 * one that runs takes its place at once (EEVDF, Linux 6.12: Stoica and Abdel-Wahab, 1995). False
 * where the kernel may not be asked; older ones take the wish and do nothing.
 */
export function setThreadSlice(microseconds: number): boolean {
  return loadNative<{ threadSlice(us: number): number }>().threadSlice(microseconds) === 1;
}

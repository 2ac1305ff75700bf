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

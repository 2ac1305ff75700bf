/** Stops on a programmer error. Always on: a wrong state must not run on into stored data. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

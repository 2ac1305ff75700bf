/** The door to native code: shared memory, kernels, the vector graph. */
export { loadNative } from "./load.ts";

/** The door to native code: shared memory, kernels, the vector graph. */

export { GraphBuild, GraphIndex, type GraphOptions, type GraphSearch } from "./graph-index.ts";
export { loadNative } from "./load.ts";

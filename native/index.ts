/** The door to native code: shared memory, kernels, the vector graph. */

export { GraphBuild, GraphIndex, type GraphOptions, type GraphSearch } from "./graph-index.ts";
export type * from "./kernel-set.ts";
export { inputClip, mmoeLayersMax, mmoeWorkspace, packMmoeShape, padded } from "./kernel-set.ts";
export { type InstructionSet, instructionSets, nativeKernels } from "./kernels.ts";
export { loadNative } from "./load.ts";

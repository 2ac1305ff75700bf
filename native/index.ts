/** The door to native code: shared memory, kernels, the vector graph. */

export {
  type Aggregate,
  type AggregateRows,
  AggregateTable,
  type AggregateUpdates,
  type AggregateValues,
  MergedAggregates,
} from "./aggregate-table.ts";
export { EmbeddingTable, type EmbeddingTableOptions } from "./embedding-table.ts";
export {
  GraphBuild,
  GraphIndex,
  type GraphOptions,
  type GraphSearch,
  graphMaker,
} from "./graph-index.ts";
export { IdTable, type IdTableOptions } from "./id-table.ts";
export type * from "./kernel-set.ts";
export {
  inputClip,
  logSecondsMax,
  mmoeLayersMax,
  mmoeWorkspace,
  packMmoeShape,
  padded,
} from "./kernel-set.ts";
export { type InstructionSet, instructionSets, nativeKernels } from "./kernels.ts";
export { refuseConnections } from "./listening.ts";
export { loadNative, nativeObjects } from "./load.ts";
export {
  HistogramReading,
  histogramBound,
  histogramBuckets,
  type MetricNames,
  SharedMetrics,
} from "./metrics.ts";
export { ModelSlots, type ModelSlotsOptions } from "./model-slots.ts";
export { mmoeSlotFloats } from "./packed-shape.ts";
export {
  type PaneCounters,
  PaneTable,
  type PaneTableOptions,
  type PaneUpdates,
  type PaneValues,
  type PaneWindow,
} from "./pane-table.ts";
export type * from "./ple-shape.ts";
export { extractionSizes, packPleShape, pleLevelsMax, pleWorkspace } from "./ple-shape.ts";
export { type ExpectedRows, Prefault } from "./prefault.ts";
export {
  type AggregateState,
  countDistinct,
  mergedAggregates,
  ReferenceAggregateTable,
} from "./reference/aggregate-table.ts";
export { ReferencePaneTable } from "./reference/pane-table.ts";
export { RowTable, type RowTableOptions } from "./row-table.ts";
export type { RowUsage } from "./row-usage.ts";
export { SequenceTable, type SequenceTableOptions } from "./sequence-table.ts";
export { setThreadName, setThreadNice, setThreadSlice } from "./thread.ts";

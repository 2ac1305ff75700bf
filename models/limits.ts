/**
 * Every bound of the system in one place. Each has a metric that counts when it bites
 * (`rec_limit_reached_total{limit="<name>"}`). Sizes in bytes, times in milliseconds.
 */
export const limits = {
  // door
  bodyBytesMax: 8 << 20,
  /** Bodies of ranking calls hold ids only: the longest lists of the longest ids fit. */
  rankBodyBytesMax: 1 << 20,
  /** A larger body that is refused ends its connection, a smaller one is skipped. */
  skippedBodyBytesMax: 64 << 20,
  /** Bodies that are being read: together so many, and so large by what they declare. */
  bodiesReadingMax: 1_024,
  bodiesReadingBytesMax: 256 << 20,
  /** A body that has not come in whole by then is refused. */
  bodyMsMax: 20_000,
  idempotencyKeysMax: 10_000,
  batchEventsMax: 10_000,
  batchItemsMax: 5_000,
  jsonDepthMax: 16,
  jsonKeysMax: 200_000,
  /** Elements of all arrays of a body: the largest batch of items with the longest lists. */
  jsonElementsMax: 640_000,
  contextKeysMax: 32,
  embeddingLengthMax: 1_024,
  objectKeysMax: 64,
  idBytesMax: 256,
  stringBytesMax: 4_096,
  listLengthMax: 64,
  recentItemsMax: 100,
  excludeItemsMax: 1_000,
  slateItemsMax: 100,
  rankItemsMax: 1_000,
  inFlightRequestsMax: 512,
  deadlineMsDefault: 150,
  deadlineMsMax: 2_000,
  /** After its deadline a request may take so long until the door gives up on its answer. */
  deadlineGraceMs: 1_000,
  // shared memory, rows reserved (address space; pages are touched when used)
  usersMax: 4_000_000,
  itemsMax: 4_000_000,
  categoriesMax: 65_536,
  userCategoryPairsMax: 16_000_000,
  /** Rows of vectors of ids that a definition may ask for: 5 bytes of the trainer's memory each. */
  idRowsMax: 100_000_000,
  itemCategoriesMax: 4,
  /** Rows of a scope with more panes than fit into their slot, in memory: about 1.4 KB each. */
  paneFullRowsMax: 524_288,
  /** The same in the file that the least recently used of them move to. */
  paneFiledRowsMax: 2_097_152,
  /** Rows of a table of sequences or aggregates in memory: about 1 KB each, by the definition. */
  rowsInMemoryMax: 1_048_576,
  /** The same in the file that the least recently used of them move to. */
  filedRowsMax: 4_000_000,
  readersMax: 64,
  modelSlots: 4,
  // pipeline
  candidatesMax: 2_048,
  rankingInFlightMax: 256,
  rankingParallelMax: 4,
  recentInteractionsPerUser: 50,
  seenItemsPerUser: 256,
  listItemsMax: 512,
  // recall
  recallItemsMax: 1_000_000,
  recallInteractionsMax: 2_000_000,
  recallHistoryMax: 100,
  recallNeighboursMax: 8_000_000,
  // streams
  /** Partitions of users; each costs a row read more. */
  logPartitionsMax: 16,
  segmentBytes: 64 << 20,
  logGroupBytesMax: 16 << 20,
  appendQueueBytesMax: 64 << 20,
  dedupIdsMax: 4_000_000,
  futureLeadMs: 60_000,
  maxDisorderMs: 30_000,
  joinerLiveMax: 4_000_000,
  documentCacheEntries: 20_000,
} as const;

export type Limits = typeof limits;

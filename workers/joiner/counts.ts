/** What happened, since the process began. */
export interface JoinerCounts {
  servedItems: number;
  /** Interactions that label something, second deliveries aside. */
  interactions: number;
  duplicates: number;
  /** Interactions that no kept slate explains: they name none, or one without their item. */
  orphans: number;
  /** Interactions that name a slate without a record: a crash took it, or it is foreign. */
  recordsMissing: number;
  /**
   * Interactions that were decided before the record of their slate was read: each has been given
   * to an older slate, or counted as an orphan or outside.
   */
  decidedEarly: number;
  /** Interactions after their attribution window. */
  outside: number;
  primaries: number;
  /** Negatives that were left out (`negativesShare`). */
  leftOut: number;
  /** Samples for labels that changed after the primary had left. */
  corrections: number;
  /** Served items that nobody saw, where negatives are impressions. */
  unseen: number;
  /** Served items that left early because room ran out (`joinerLiveMax`). */
  evictedItems: number;
  /** Late samples whose served record the log no longer has. */
  recordsGone: number;
}

export function emptyJoinerCounts(): JoinerCounts {
  return {
    servedItems: 0,
    interactions: 0,
    duplicates: 0,
    orphans: 0,
    recordsMissing: 0,
    decidedEarly: 0,
    outside: 0,
    primaries: 0,
    leftOut: 0,
    corrections: 0,
    unseen: 0,
    evictedItems: 0,
    recordsGone: 0,
  };
}

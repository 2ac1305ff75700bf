/** What happened, since the role's state began. */
export interface WindowCounts {
  events: number;
  duplicates: number;
  /** Events late for one window or more, and for each window. */
  late: number;
  readonly lateByWindow: number[];
  /** Events from beyond the allowed lead, taken as of when they were received. */
  future: number;
  /** Client impressions that did not count, because the served record already had. */
  impressionsIgnored: number;
  /** Events of a type that the definition does not have. */
  unknown: number;
  servedItems: number;
  /** Updates of a user x category that found no room for a new pair. */
  pairsRefused: number;
}

export function emptyCounts(windows: number): WindowCounts {
  return {
    events: 0,
    duplicates: 0,
    late: 0,
    lateByWindow: new Array<number>(windows).fill(0),
    future: 0,
    impressionsIgnored: 0,
    unknown: 0,
    servedItems: 0,
    pairsRefused: 0,
  };
}

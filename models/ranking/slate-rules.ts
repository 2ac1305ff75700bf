/** How a slate is filled from the values. */
export interface SlateRules {
  /** Chance that the last place goes to any candidate that is left; 0: never. */
  readonly explorationShare: number;
  /** Part of the values' spread that an item loses per item of its category before it; 0: off. */
  readonly categoryPenalty: number;
}

/** One slate in twenty shows one item that the model would not have chosen. */
export const defaultSlateRules: SlateRules = { explorationShare: 0.05, categoryPenalty: 0 };

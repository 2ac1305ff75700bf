/** How a learning rate moves: warms up linearly with steps, decays with samples, to a floor. */
export interface ScheduleOptions {
  readonly warmupSteps: number;
  /** Samples in which the rate halves; Infinity keeps it. */
  readonly halfLifeSamples: number;
  /** Share of the full rate that is never gone below: an online model must keep learning. */
  readonly floor: number;
}

export const constantSchedule: ScheduleOptions = {
  warmupSteps: 20,
  halfLifeSamples: Infinity,
  floor: 1,
};

/**
 * Factor on the learning rate at an optimizer's step (0 is its first), after `samples` in all: a
 * fresh optimizer warms up again, what was learned before it still counts.
 */
export function rateScaleAt(
  options: ScheduleOptions,
  at: { readonly step: number; readonly samples: number },
): number {
  const warm = Math.min(1, (at.step + 1) / options.warmupSteps);
  return warm * Math.max(options.floor, 2 ** (-at.samples / options.halfLifeSamples));
}

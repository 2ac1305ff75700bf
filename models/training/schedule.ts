/** How a learning rate moves with steps: warms up linearly, then decays to a floor and stays. */
export interface ScheduleOptions {
  readonly warmupSteps: number;
  /** Steps in which the rate halves; Infinity keeps it. */
  readonly halfLifeSteps: number;
  /** Share of the full rate that is never gone below: an online model must keep learning. */
  readonly floor: number;
}

export const constantSchedule: ScheduleOptions = {
  warmupSteps: 20,
  halfLifeSteps: Infinity,
  floor: 1,
};

/** Factor on the learning rate at a step (0 is the first). */
export function rateScaleAt(options: ScheduleOptions, step: number): number {
  if (step < options.warmupSteps) return (step + 1) / options.warmupSteps;
  const decayed = 2 ** (-(step - options.warmupSteps) / options.halfLifeSteps);
  return Math.max(options.floor, decayed);
}

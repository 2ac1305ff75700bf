import type { Random } from "../core/random.ts";
import type { Sample } from "./sample.ts";

/** Samples that must stay together: they happened at once. */
export type Tie = readonly Sample[];

/** The longest list that `epoch` hands to `learn`: set it as the trainer's `batchMax`. */
export function offlineBatchMax(ties: readonly Tie[], batch: number): number {
  return batch - 1 + ties.reduce((most, tie) => Math.max(most, tie.length), 1);
}

/**
 * Learns all ties once, in batches of whole ties of at least `batch` samples. In their order, or,
 * with a random stream, in a drawn one: then neighbours in time do not share a batch, which several
 * epochs over the same history want.
 */
export function epoch(
  trainer: { learn(samples: readonly Sample[]): unknown },
  ties: readonly Tie[],
  options: { readonly batch: number; readonly random: Random | null },
): void {
  const order = options.random === null ? ties : shuffled(ties, options.random);
  let waiting: Sample[] = [];
  for (const tie of order) {
    waiting.push(...tie);
    if (waiting.length < options.batch) continue;
    trainer.learn(waiting);
    waiting = [];
  }
  if (waiting.length > 0) trainer.learn(waiting);
}

/** Fisher and Yates. */
function shuffled(ties: readonly Tie[], random: Random): Tie[] {
  const out = [...ties];
  for (let i = out.length - 1; i > 0; i--) {
    const j = random.int(i + 1);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

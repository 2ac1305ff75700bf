import { anonymousMappings } from "../process-figures.ts";

/** MB by the name of a part of the process: its heaps by thread, its mappings by address. */
export type Strata = ReadonlyMap<string, number>;

/** Heaps lie in mappings: the two say the same memory in two ways. */
export function strataOf(pid: number, metricsText: string): Strata {
  const strata = new Map<string, number>();
  for (const [, thread, bytes] of metricsText.matchAll(
    /^rec_heap_bytes\{thread="(\w+)"\} (\S+)$/gm,
  )) {
    strata.set(`heap of ${thread}`, Number(bytes) / 1e6);
  }
  for (const [address, mb] of anonymousMappings(pid)) strata.set(`mapping ${address}`, mb);
  return strata;
}

/** Parts that changed by a megabyte and more, a line each, those that grew most first. */
export function growth(before: Strata, after: Strata): string[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((name) => ({ name, from: before.get(name) ?? 0, to: after.get(name) ?? 0 }))
    .filter(({ from, to }) => Math.abs(to - from) >= 1)
    .sort((a, b) => b.to - b.from - (a.to - a.from))
    .map(({ name, from, to }) => `  ${name}: ${from.toFixed(1)} to ${to.toFixed(1)} MB`);
}

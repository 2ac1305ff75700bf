/** Stateless randomness: the world's truth is a function of the seed and of what is asked. */

/** A uniform 32-bit word of a seed and three coordinates (Murmur3 rounds and finaliser). */
export function hashWord(seed: number, a: number, b = 0, c = 0): number {
  let h = seed | 0;
  h = round(h, a);
  h = round(h, b);
  h = round(h, c);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function round(state: number, word: number): number {
  let k = Math.imul(word | 0, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const h = state ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

/** Uniform in [0, 1). */
export function hashUnit(seed: number, a: number, b = 0, c = 0): number {
  return hashWord(seed, a, b, c) / 2 ** 32;
}

/** Standard normal (Box-Muller on two hashes). */
export function hashNormal(seed: number, a: number, b = 0, c = 0): number {
  const u = 1 - hashUnit(seed, a, b, c);
  const v = hashUnit(seed ^ 0x5bd1e995, a, b, c);
  return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
}

/** Fills `out[from .. from + length)` with a vector of length 1. */
export function hashDirection(
  seed: number,
  index: number,
  out: Float32Array,
  place: { from: number; length: number },
): void {
  let square = 0;
  for (let d = 0; d < place.length; d++) {
    const value = hashNormal(seed, index, d, 7);
    out[place.from + d] = value;
    square += value * value;
  }
  const scale = 1 / Math.sqrt(square || 1);
  for (let d = 0; d < place.length; d++) out[place.from + d]! *= scale;
}

/** A 128-bit id as four unsigned words; zero means none. */
export type Id128 = readonly [number, number, number, number];

export const noId: Id128 = [0, 0, 0, 0];
export const noRow = 0xffff_ffff;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

export function text(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** The bytes of a typed array, in place. */
export function bytesOf(column: ArrayBufferView): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
}

/** A DataView on exactly the bytes of `bytes`. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function readId128(view: DataView, at: number): Id128 {
  return [
    view.getUint32(at, true),
    view.getUint32(at + 4, true),
    view.getUint32(at + 8, true),
    view.getUint32(at + 12, true),
  ];
}

export function writeId128(view: DataView, at: number, id: Id128): void {
  for (let i = 0; i < 4; i++) view.setUint32(at + 4 * i, id[i] ?? 0, true);
}

export function isNoId(id: Id128): boolean {
  return (id[0] | id[1] | id[2] | id[3]) === 0;
}

/** 32 hex digits: the public form of a request id. */
export function id128ToHex(id: Id128): string {
  return id.map((word) => word.toString(16).padStart(8, "0")).join("");
}

/** Murmur3 finaliser: mixes all bits of one word. */
function mix(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** 128-bit hash of a text: four cross-fed multiplicative lanes. Not for secrets. */
export function hash128(input: string): Id128 {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = 0xb7e15162;
  let d = 0xdeadbeef ^ input.length;
  for (let i = 0; i < input.length; i++) {
    const code = input.charCodeAt(i);
    a = b ^ Math.imul(a ^ code, 0x239b961b);
    b = c ^ Math.imul(b ^ code, 0xab0e9789);
    c = d ^ Math.imul(c ^ code, 0x38b34ae5);
    d = a ^ Math.imul(d ^ code, 0xa1e38b93);
    a = (a << 13) | (a >>> 19);
  }
  const words = [mix(a ^ d), mix(b ^ a), mix(c ^ b), mix(d ^ c)] as const;
  const sum = words[0] ^ words[1] ^ words[2] ^ words[3];
  return [mix(words[0] + sum), mix(words[1] ^ sum), mix(words[2] + a), mix(words[3] ^ b) | 1].map(
    (word) => word >>> 0,
  ) as unknown as Id128;
}

/** Our own request ids come back as they went out; any other text is hashed. */
export function requestIdOf(input: string): Id128 {
  if (!/^[0-9a-f]{32}$/.test(input)) return hash128(input);
  const word = (i: number) => Number.parseInt(input.slice(8 * i, 8 * i + 8), 16);
  return [word(0), word(1), word(2), word(3)];
}

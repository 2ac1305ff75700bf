import { limits } from "../../models/limits.ts";

/**
 * Bounds a JSON text before JSON.parse sees it: one linear pass over the bytes counts depth, keys,
 * elements and string lengths and refuses a key that stands twice in its object (JSON.parse
 * would keep the last and say nothing; a million nested arrays would block the thread). The pass
 * does not check the grammar, JSON.parse does that next.
 */

export interface JsonBounds {
  readonly depthMax: number;
  /** Keys in the whole text, and in one object. */
  readonly keysMax: number;
  readonly objectKeysMax: number;
  /** Elements of all arrays together. */
  readonly elementsMax: number;
  readonly stringBytesMax: number;
}

export const jsonBounds: JsonBounds = {
  depthMax: limits.jsonDepthMax,
  keysMax: limits.jsonKeysMax,
  objectKeysMax: limits.objectKeysMax,
  elementsMax: limits.jsonElementsMax,
  stringBytesMax: limits.stringBytesMax,
};

const quote = 0x22;
const backslash = 0x5c;
/** What a byte outside strings means: 0 nothing, else the index of its case below. */
const kinds = new Uint8Array(256);
[...'"{[}],'].forEach((character, i) => {
  kinds[character.charCodeAt(0)] = i + 1;
});

/** Position of the closing quote of the string that starts before `from`; `to` where none is. */
function stringEnd(bytes: Uint8Array, from: number, to: number): number {
  const near = Math.min(to, from + 64);
  let i = from;
  while (i < near && bytes[i] !== quote) i += bytes[i] === backslash ? 2 : 1;
  return i < near || near === to ? Math.min(i, to) : farEnd(bytes, from, to);
}

/** The same for long strings: the search for a quote is the machine's, 20 times as fast. */
function farEnd(bytes: Uint8Array, from: number, to: number): number {
  for (let at = from; ; ) {
    const end = bytes.indexOf(quote, at);
    if (end < 0 || end >= to) return to;
    let escapes = 0;
    while (end - escapes > from && bytes[end - escapes - 1] === backslash) escapes++;
    if (escapes % 2 === 0) return end;
    at = end + 1;
  }
}

/** A small hash of a key, so that few are compared byte by byte; -1 where it has an escape. */
function keyPlace(bytes: Uint8Array, from: number, to: number): number {
  let hash = to - from;
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!;
    if (byte === backslash) return -1;
    hash = (Math.imul(hash, 31) + byte) | 0;
  }
  return (hash ^ (hash >>> 9)) & (keyPlaces - 1);
}

const keyPlaces = 512;

function sameBytes(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}

/** Why a text is refused; a plain value, since each of 10,000 lines may have one. */
export interface JsonFault {
  readonly code: string;
  readonly message: string;
  readonly path: string;
}

/** Reusable: holds a stack of open containers and the keys of open objects, of fixed size. */
export class JsonGuard {
  readonly #bounds: JsonBounds;
  readonly #isObject: Uint8Array;
  /** Per open container: elements or keys so far, and where its keys begin on the key stack. */
  readonly #counts: Int32Array;
  readonly #keyBase: Int32Array;
  readonly #keyFrom: Int32Array;
  readonly #keyTo: Int32Array;
  /** Per depth, by place of a key: the newest object there that has a key with that place. */
  readonly #places: Int32Array;
  readonly #objectAt: Int32Array;
  #objects = 0;
  #keysOpen = 0;
  #depth = 0;
  #keys = 0;
  #elements = 0;
  #expectKey = false;
  #position = 0;
  #closedAt = -1;
  #cutAt = -1;
  #cuts = 0;

  constructor(bounds: JsonBounds = jsonBounds) {
    this.#bounds = bounds;
    this.#isObject = new Uint8Array(bounds.depthMax + 1);
    this.#counts = new Int32Array(bounds.depthMax + 1);
    this.#keyBase = new Int32Array(bounds.depthMax + 1);
    this.#keyFrom = new Int32Array(bounds.depthMax * bounds.objectKeysMax);
    this.#keyTo = new Int32Array(bounds.depthMax * bounds.objectKeysMax);
    this.#places = new Int32Array((bounds.depthMax + 1) * keyPlaces);
    this.#objectAt = new Int32Array(bounds.depthMax + 1);
  }

  /** Starts a new body: the totals of keys and elements begin at zero. */
  begin(): void {
    this.#keys = 0;
    this.#elements = 0;
  }

  /** Starts a text at `from`. */
  beginText(from: number): void {
    this.#depth = 0;
    this.#keysOpen = 0;
    this.#expectKey = false;
    this.#position = from;
    this.#closedAt = -1;
    this.#cutAt = -1;
    this.#cuts = 0;
  }

  /** Where the outermost container was closed first; -1 before. */
  get closedAt(): number {
    return this.#closedAt;
  }

  /** Whether a container was not closed: no JSON then. */
  get isOpen(): boolean {
    return this.#depth > 0;
  }

  /** The newest comma between elements of the outermost array; -1 before the first. */
  get cutAt(): number {
    return this.#cutAt;
  }

  /** How many such commas there were. */
  get cuts(): number {
    return this.#cuts;
  }

  /** Where the next `advance` goes on: may be past the last bound by the rest of a string. */
  get position(): number {
    return this.#position;
  }

  /** Why the text in `from .. to` is refused, or null. */
  scan(bytes: Uint8Array, from: number, to: number): JsonFault | null {
    this.beginText(from);
    return this.advance(bytes, to, to);
  }

  /** Goes on to `until`, in a text that ends at `to`. */
  advance(bytes: Uint8Array, until: number, to: number): JsonFault | null {
    let i = this.#position;
    for (; i < until; i++) {
      const kind = kinds[bytes[i]!];
      if (kind === 0) continue;
      let fault: JsonFault | null = null;
      if (kind === 1) {
        const end = stringEnd(bytes, i + 1, to);
        fault = this.#string(bytes, i + 1, end);
        i = end;
      } else if (kind === 6) fault = this.#comma(bytes, i);
      else if (kind <= 3) fault = this.#open(bytes, kind === 2);
      else this.#close(i);
      if (fault !== null) return fault;
    }
    this.#position = i;
    return null;
  }

  #open(bytes: Uint8Array, isObject: boolean): JsonFault | null {
    if (this.#depth === this.#bounds.depthMax) {
      return this.#fault(bytes, "REC_INPUT_DEPTH", `is nested over ${this.#bounds.depthMax} deep`);
    }
    this.#depth++;
    this.#isObject[this.#depth] = isObject ? 1 : 0;
    this.#counts[this.#depth] = 0;
    this.#keyBase[this.#depth] = this.#keysOpen;
    this.#objectAt[this.#depth] = ++this.#objects;
    this.#expectKey = isObject;
    return null;
  }

  #close(at: number): void {
    if (this.#depth === 0) return;
    if (this.#depth === 1 && this.#closedAt < 0) this.#closedAt = at;
    this.#keysOpen = this.#keyBase[this.#depth]!;
    this.#depth--;
    this.#expectKey = false;
  }

  #comma(bytes: Uint8Array, at: number): JsonFault | null {
    if (this.#isObject[this.#depth] === 1) {
      this.#expectKey = true;
      return null;
    }
    this.#counts[this.#depth]!++;
    if (this.#depth === 1) {
      this.#cutAt = at;
      this.#cuts++;
    }
    if (++this.#elements < this.#bounds.elementsMax) return null;
    return this.#fault(bytes, "REC_INPUT_LENGTH", "the body has too many array elements");
  }

  #string(bytes: Uint8Array, from: number, to: number): JsonFault | null {
    if (to - from > this.#bounds.stringBytesMax) {
      const most = this.#bounds.stringBytesMax;
      return this.#fault(bytes, "REC_INPUT_LENGTH", `has a string of over ${most} bytes`);
    }
    return this.#expectKey ? this.#key(bytes, from, to) : null;
  }

  #key(bytes: Uint8Array, from: number, to: number): JsonFault | null {
    this.#expectKey = false;
    const base = this.#keyBase[this.#depth]!;
    if (this.#keysOpen - base === this.#bounds.objectKeysMax || this.#keys === this.#bounds.keysMax)
      return this.#fault(bytes, "REC_INPUT_KEYS", "has too many keys");
    const place = keyPlace(bytes, from, to);
    const at = this.#depth * keyPlaces + place;
    const object = this.#objectAt[this.#depth]!;
    if (place >= 0 && this.#places[at] === object && this.#standsTwice(bytes, from, to)) {
      return this.#fault(bytes, "REC_INPUT_DUPLICATE_KEY", "stands twice");
    }
    this.#keyFrom[this.#keysOpen] = from;
    this.#keyTo[this.#keysOpen++] = to;
    this.#keys++;
    if (place >= 0) {
      this.#places[at] = object;
      return null;
    }
    // No known field needs one, and an escape would hide a repeated key.
    return this.#fault(bytes, "REC_INPUT_UNKNOWN_FIELD", "a key with an escape is not known");
  }

  #standsTwice(bytes: Uint8Array, from: number, to: number): boolean {
    for (let k = this.#keyBase[this.#depth]!; k < this.#keysOpen; k++) {
      const start = this.#keyFrom[k]!;
      if (this.#keyTo[k]! - start !== to - from) continue;
      if (!sameBytes(bytes, start, from, to - from)) continue;
      // The path of the fault ends with this key.
      this.#keysOpen = k + 1;
      return true;
    }
    return false;
  }

  #fault(bytes: Uint8Array, code: string, message: string): JsonFault {
    return { code, message, path: this.#path(bytes) };
  }

  /** Where the scan stands, for the error: newest key of each object, index of each array. */
  #path(bytes: Uint8Array): string {
    let path = "";
    for (let level = 1; level <= this.#depth; level++) {
      if (this.#isObject[level] !== 1) {
        path += `[${this.#counts[level]}]`;
        continue;
      }
      const above = level === this.#depth ? this.#keysOpen : this.#keyBase[level + 1]!;
      if (above === this.#keyBase[level]) break;
      const key = bytes.subarray(this.#keyFrom[above - 1], this.#keyTo[above - 1]);
      path += `${path === "" ? "" : "."}${new TextDecoder().decode(key.subarray(0, 64))}`;
    }
    return path === "" ? "body" : path;
  }
}

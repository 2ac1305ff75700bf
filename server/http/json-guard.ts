import { RecError } from "../../models/core/errors.ts";
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
  // The largest batch of items, each with a list of the longest kind and its other fields.
  elementsMax: 2 * limits.batchItemsMax * limits.listLengthMax,
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
  let i = from;
  while (i < to && bytes[i] !== quote) i += bytes[i] === backslash ? 2 : 1;
  return Math.min(i, to);
}

function sameBytes(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
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
  #keysOpen = 0;
  #depth = 0;
  #keys = 0;
  #elements = 0;
  #expectKey = false;

  constructor(bounds: JsonBounds = jsonBounds) {
    this.#bounds = bounds;
    this.#isObject = new Uint8Array(bounds.depthMax + 1);
    this.#counts = new Int32Array(bounds.depthMax + 1);
    this.#keyBase = new Int32Array(bounds.depthMax + 1);
    this.#keyFrom = new Int32Array(bounds.depthMax * bounds.objectKeysMax);
    this.#keyTo = new Int32Array(bounds.depthMax * bounds.objectKeysMax);
  }

  /** Starts a new body: the totals of keys and elements begin at zero. */
  begin(): void {
    this.#keys = 0;
    this.#elements = 0;
  }

  /** Why the text in `from .. to` is refused, or null. */
  scan(bytes: Uint8Array, from: number, to: number): RecError | null {
    this.#depth = 0;
    this.#keysOpen = 0;
    this.#expectKey = false;
    for (let i = from; i < to; i++) {
      const kind = kinds[bytes[i]!];
      if (kind === 0) continue;
      let fault: RecError | null = null;
      if (kind === 1) {
        const end = stringEnd(bytes, i + 1, to);
        fault = this.#string(bytes, i + 1, end);
        i = end;
      } else if (kind === 6) fault = this.#comma(bytes);
      else if (kind <= 3) fault = this.#open(bytes, kind === 2);
      else this.#close();
      if (fault !== null) return fault;
    }
    return null;
  }

  #open(bytes: Uint8Array, isObject: boolean): RecError | null {
    if (this.#depth === this.#bounds.depthMax) {
      return this.#fault(bytes, "REC_INPUT_DEPTH", `is nested over ${this.#bounds.depthMax} deep`);
    }
    this.#depth++;
    this.#isObject[this.#depth] = isObject ? 1 : 0;
    this.#counts[this.#depth] = 0;
    this.#keyBase[this.#depth] = this.#keysOpen;
    this.#expectKey = isObject;
    return null;
  }

  #close(): void {
    if (this.#depth === 0) return;
    this.#keysOpen = this.#keyBase[this.#depth]!;
    this.#depth--;
    this.#expectKey = false;
  }

  #comma(bytes: Uint8Array): RecError | null {
    if (this.#isObject[this.#depth] === 1) {
      this.#expectKey = true;
      return null;
    }
    this.#counts[this.#depth]!++;
    if (++this.#elements < this.#bounds.elementsMax) return null;
    return this.#fault(bytes, "REC_INPUT_LENGTH", "the body has too many array elements");
  }

  #string(bytes: Uint8Array, from: number, to: number): RecError | null {
    if (to - from > this.#bounds.stringBytesMax) {
      const most = this.#bounds.stringBytesMax;
      return this.#fault(bytes, "REC_INPUT_LENGTH", `has a string of over ${most} bytes`);
    }
    return this.#expectKey ? this.#key(bytes, from, to) : null;
  }

  #key(bytes: Uint8Array, from: number, to: number): RecError | null {
    this.#expectKey = false;
    const base = this.#keyBase[this.#depth]!;
    if (this.#keysOpen - base === this.#bounds.objectKeysMax || this.#keys === this.#bounds.keysMax)
      return this.#fault(bytes, "REC_INPUT_KEYS", "has too many keys");
    for (let k = base; k < this.#keysOpen; k++) {
      const start = this.#keyFrom[k]!;
      if (this.#keyTo[k]! - start === to - from && sameBytes(bytes, start, from, to - from)) {
        this.#keysOpen = k + 1;
        return this.#fault(bytes, "REC_INPUT_DUPLICATE_KEY", "stands twice");
      }
    }
    this.#keyFrom[this.#keysOpen] = from;
    this.#keyTo[this.#keysOpen++] = to;
    this.#keys++;
    // No known field needs one, and an escape would hide a repeated key.
    return bytes.subarray(from, to).includes(backslash)
      ? this.#fault(bytes, "REC_INPUT_UNKNOWN_FIELD", "a key with an escape is not known")
      : null;
  }

  #fault(bytes: Uint8Array, code: string, message: string): RecError {
    return new RecError(code, message, { path: this.#path(bytes) });
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

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of `bytes`; invalid UTF-8 throws REC_INPUT_UTF8. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch (cause) {
    throw new RecError("REC_INPUT_UTF8", "the body is not valid UTF-8", { path: "body", cause });
  }
}

function parseRange(guard: JsonGuard, bytes: Uint8Array, from: number, to: number): unknown {
  const fault = guard.scan(bytes, from, to);
  if (fault !== null) throw fault;
  const text = decodeUtf8(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to));
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RecError("REC_INPUT_JSON", "is not valid JSON", { path: "body", cause });
  }
}

const shared = new JsonGuard();

/** Parses one JSON text; a refusal throws RecError with code and path. */
export function parseJson(bytes: Uint8Array): unknown {
  shared.begin();
  return parseRange(shared, bytes, 0, bytes.length);
}

/** What a line of NDJSON held, or why it is refused. */
export type ParsedLine = { readonly value: unknown } | { readonly fault: RecError };

const newline = 0x0a;

/** Blank lines are left out. A bad line spoils only itself; over `linesMax` lines throw. */
export function parseNdjson(bytes: Uint8Array, linesMax: number): ParsedLine[] {
  const lines: ParsedLine[] = [];
  shared.begin();
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(newline, from);
    const to = end < 0 ? bytes.length : end;
    if (!isBlank(bytes, from, to)) {
      if (lines.length === linesMax) {
        throw new RecError("REC_INPUT_LENGTH", `must have at most ${linesMax} lines`, {
          path: "body",
        });
      }
      lines.push(parseLine(bytes, from, to));
    }
    from = to + 1;
  }
  return lines;
}

function parseLine(bytes: Uint8Array, from: number, to: number): ParsedLine {
  try {
    return { value: parseRange(shared, bytes, from, to) };
  } catch (thrown) {
    if (thrown instanceof RecError) return { fault: thrown };
    throw thrown;
  }
}

function isBlank(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!;
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false;
  }
  return true;
}

import { RecError } from "../../models/core/errors.ts";
import type { Turns } from "../turns.ts";
import { type JsonFault, JsonGuard } from "./json-guard.ts";

/**
 * From bytes to parsed values, after the guard's pass. Small texts are parsed at once; lists of
 * events and documents may be megabytes and are parsed piece by piece, in turns with the rest of
 * the main thread.
 */

/** Texts up to here are parsed at once: about a millisecond of work. */
const smallBytes = 64 << 10;
const pieceBytes = 128 << 10;

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const notJson: JsonFault = {
  ...{ code: "REC_INPUT_JSON", message: "is not valid JSON", path: "body" },
};
const notUtf8: JsonFault = {
  ...{ code: "REC_INPUT_UTF8", message: "the body is not valid UTF-8", path: "body" },
};

/** A parsed value, or why there is none. */
export type Parsed = { readonly value: unknown } | { readonly fault: JsonFault };

function errorOf({ code, message, path }: JsonFault): RecError {
  return new RecError(code, message, { path });
}

/** The text of `bytes`; null where they are no UTF-8. */
function decode(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}

function parseText(text: string): Parsed {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return { fault: notJson };
  }
}

function parseBytes(bytes: Uint8Array): Parsed {
  const text = decode(bytes);
  return text === null ? { fault: notUtf8 } : parseText(text);
}

const shared = new JsonGuard();

/** Parses one JSON text; a refusal throws RecError with code and path. */
export function parseJson(bytes: Uint8Array): unknown {
  shared.begin();
  const fault = shared.scan(bytes, 0, bytes.length);
  if (fault !== null) throw errorOf(fault);
  const parsed = parseBytes(bytes);
  if ("fault" in parsed) throw errorOf(parsed.fault);
  return parsed.value;
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Position of the first byte that is not blank, from `from` on in steps of `step`. */
function firstInk(bytes: Uint8Array, from: number, step: 1 | -1): number {
  let i = from;
  while (i >= 0 && i < bytes.length && isBlank(bytes[i]!)) i += step;
  return i;
}

/** As `parseJson`, but a large array is parsed in turns. */
export async function parseJsonInTurns(bytes: Uint8Array, turns: Turns): Promise<unknown> {
  if (bytes.length <= smallBytes) return parseJson(bytes);
  await turns.next();
  const start = firstInk(bytes, 0, 1);
  if (bytes[start] === openBracket) return await new PiecewiseArray(bytes, start).read(turns);
  const guard = new JsonGuard();
  guard.beginText(0);
  while (guard.position < bytes.length) await scanOn(guard, bytes, turns);
  // Only blanks: nothing to decode. Else one value, and a good one is not that large.
  const parsed = start === bytes.length ? { fault: notJson } : parseBytes(bytes);
  if ("fault" in parsed) throw errorOf(parsed.fault);
  return parsed.value;
}

const openBracket = 0x5b;
const closeBracket = 0x5d;

async function scanOn(guard: JsonGuard, bytes: Uint8Array, turns: Turns): Promise<void> {
  if (turns.over) await turns.next();
  const until = Math.min(guard.position + pieceBytes, bytes.length);
  const fault = guard.advance(bytes, until, bytes.length);
  if (fault !== null) throw errorOf(fault);
}

/**
 * One JSON array, cut at commas between its elements. A piece between two cuts is valid where it
 * parses within brackets of its own and gives as many elements as commas say: the pieces then
 * are the array, whatever brackets a broken text holds.
 */
class PiecewiseArray {
  readonly #bytes: Uint8Array;
  readonly #guard = new JsonGuard();
  readonly #values: unknown[] = [];
  /** Where the next piece begins, behind the bracket or a comma. */
  #from: number;
  #cuts = 0;

  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = bytes;
    this.#from = start + 1;
    this.#guard.beginText(start);
  }

  async read(turns: Turns): Promise<unknown[]> {
    const guard = this.#guard;
    while (guard.position < this.#bytes.length) {
      await scanOn(guard, this.#bytes, turns);
      if (guard.cuts > this.#cuts && guard.closedAt < 0) this.#take(guard.cutAt, guard.cuts);
    }
    const end = firstInk(this.#bytes, this.#bytes.length - 1, -1);
    if (guard.closedAt !== end || this.#bytes[end] !== closeBracket) throw errorOf(notJson);
    this.#take(end, guard.cuts + 1);
    return this.#values;
  }

  /** The piece up to `to`, which holds the elements up to number `cuts`. */
  #take(to: number, cuts: number): void {
    const text = decode(this.#bytes.subarray(this.#from, to));
    if (text === null) throw errorOf(notUtf8);
    const parsed = parseText(`[${text}]`);
    const values = "value" in parsed && Array.isArray(parsed.value) ? parsed.value : null;
    const none = values?.length === 0 && cuts === 1 && this.#bytes[to] === closeBracket;
    if (values === null || !(none || values.length === cuts - this.#cuts)) throw errorOf(notJson);
    for (const value of values) this.#values.push(value);
    this.#from = to + 1;
    this.#cuts = cuts;
  }
}

const newline = 0x0a;

/** Blank lines are left out. A bad line spoils only itself; over `linesMax` lines throw. */
export async function parseNdjson(
  bytes: Uint8Array,
  linesMax: number,
  turns: Turns,
): Promise<Parsed[]> {
  const large = bytes.length > smallBytes;
  if (large) await turns.next();
  const guard = large ? new JsonGuard() : shared;
  guard.begin();
  const lines: Parsed[] = [];
  for (let from = 0, checked = 0; from < bytes.length; ) {
    if (large && from - checked > pieceBytes >> 2) {
      checked = from;
      if (turns.over) await turns.next();
    }
    const end = bytes.indexOf(newline, from);
    const to = end < 0 ? bytes.length : end;
    if (firstInk(bytes, from, 1) < to) {
      if (lines.length === linesMax) throw errorOf(tooManyLines(linesMax));
      lines.push(parseLine(guard, bytes.subarray(from, to)));
    }
    from = to + 1;
  }
  return lines;
}

function tooManyLines(linesMax: number): JsonFault {
  const message = `must have at most ${linesMax} lines`;
  return { code: "REC_INPUT_LENGTH", message, path: "body" };
}

function parseLine(guard: JsonGuard, line: Uint8Array): Parsed {
  const fault = guard.scan(line, 0, line.length);
  if (fault !== null) return { fault };
  // The parser's own refusal costs ten times as much as a parse.
  return guard.isOpen ? { fault: notJson } : parseBytes(line);
}

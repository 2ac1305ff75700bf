import { utf8 } from "./bytes.ts";
import { Fault, type Range, type Schema, wrongType } from "./schema.ts";

/** The schemas of texts: free text, ids, words, times. */

/** At most `max` bytes as UTF-8? Counts only where the length in UTF-16 units leaves it open. */
function fitsBytes(input: string, max: number): boolean {
  return input.length * 3 <= max || (input.length <= max && utf8(input).length <= max);
}

/** Free text: well-formed UTF-16 without lone surrogates, bounded in UTF-8 bytes. */
export function string(bounds: { minBytes?: number; maxBytes: number }): Schema<string> {
  const min = bounds.minBytes ?? 0;
  return {
    openApi: { type: "string", minLength: min, maxLength: bounds.maxBytes },
    read(input) {
      if (typeof input !== "string") return wrongType("a string", input);
      if (input.length < min || !fitsBytes(input, bounds.maxBytes)) {
        return new Fault("REC_INPUT_LENGTH", `must have ${min} to ${bounds.maxBytes} bytes`);
      }
      return input.isWellFormed() ? input : new Fault("REC_INPUT_TEXT", "has a lone surrogate");
    },
  };
}

const plainText = /^[ -~]+$/;
const controlCharacter = /\p{Cc}/u;

/** An id: 1 .. maxBytes bytes of UTF-8 without control characters or lone surrogates. */
export function id(maxBytes: number): Schema<string> {
  const read = (input: unknown): string | Fault => {
    if (typeof input !== "string") return wrongType("a string", input);
    if (input.length === 0 || !fitsBytes(input, maxBytes)) {
      return new Fault("REC_INPUT_LENGTH", `must have 1 to ${maxBytes} bytes`);
    }
    if (plainText.test(input)) return input;
    if (!input.isWellFormed()) return new Fault("REC_INPUT_TEXT", "has a lone surrogate");
    return controlCharacter.test(input)
      ? new Fault("REC_INPUT_TEXT", "has a control character")
      : input;
  };
  return { openApi: { type: "string", minLength: 1, maxLength: maxBytes }, read };
}

/** One of the given words. */
export function oneOf<const W extends readonly string[]>(words: W): Schema<W[number]> {
  const known = new Map<string, W[number]>(words.map((word) => [word, word]));
  return {
    openApi: { type: "string", enum: words },
    read(input) {
      if (typeof input !== "string") return wrongType("a string", input);
      return known.get(input) ?? new Fault("REC_INPUT_VALUE", `must be one of ${words.join(", ")}`);
    },
  };
}

const dateTime =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** Epoch milliseconds of an RFC 3339 date-time; NaN where it is none. No leap seconds. */
export function parseRfc3339(input: string): number {
  const match = dateTime.exec(input);
  if (match === null) return Number.NaN;
  const part = (i: number): number => Number(match[i] ?? 0);
  const [year, month, day] = [part(1), part(2) - 1, part(3)];
  const [offsetHours, offsetMinutes] = [part(9), part(10)];
  if (part(4) > 23 || part(5) > 59 || part(6) > 59) return Number.NaN;
  if (offsetHours > 23 || offsetMinutes > 59) return Number.NaN;
  const fraction = Number(`0.${match[7] ?? "0"}`) * 1_000;
  const local = Date.UTC(year, month, day, part(4), part(5), part(6));
  const date = new Date(local);
  if (year < 100 || date.getUTCMonth() !== month || date.getUTCDate() !== day) return Number.NaN;
  const offsetMs = (offsetHours * 60 + offsetMinutes) * 60_000;
  return local + fraction - (match[8] === "-" ? -offsetMs : offsetMs);
}

/** Epoch milliseconds from an RFC 3339 string or from epoch milliseconds. */
export function time(range: Range): Schema<number> {
  return {
    openApi: {
      oneOf: [
        { type: "string", format: "date-time" },
        { type: "number", description: "epoch milliseconds" },
      ],
    },
    read(input) {
      if (typeof input !== "number" && typeof input !== "string") {
        return wrongType("an RFC 3339 string or epoch milliseconds", input);
      }
      const timeMs = typeof input === "number" ? input : parseRfc3339(input);
      if (Number.isNaN(timeMs))
        return new Fault("REC_INPUT_TIME", "is not RFC 3339 with an offset");
      if (timeMs >= range.min && timeMs <= range.max) return timeMs;
      const [from, to] = [new Date(range.min).toISOString(), new Date(range.max).toISOString()];
      return new Fault("REC_INPUT_TIME", `must be ${from} to ${to} (numbers are milliseconds)`);
    },
  };
}

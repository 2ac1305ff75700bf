import { describe, expect, test } from "bun:test";
import {
  array,
  boolean,
  Fault,
  type Infer,
  integer,
  number,
  object,
  optional,
  record,
  type Schema,
  union,
} from "./schema.ts";
import { id, oneOf, parseRfc3339, string, time } from "./schema-text.ts";

const range = { min: 0, max: 10 };
const thing = object({
  id: id(256),
  tags: optional(array(string({ maxBytes: 8 }), { max: 2 })),
  inner: optional(object({ n: integer(range) })),
  kind: oneOf(["a", "b"]),
});

function fault(schema: Schema<unknown>, input: unknown): string {
  const read = schema.read(input);
  if (!(read instanceof Fault)) throw new Error(`was taken: ${JSON.stringify(read)}`);
  return `${read.code} ${read.path}`.trim();
}

describe("schema", () => {
  test("copies what it knows and types it", () => {
    const input = { id: "x", tags: ["t"], kind: "a" };
    const read: Infer<typeof thing> | Fault = thing.read(input);
    if (read instanceof Fault) throw new Error(read.message);
    const kind: "a" | "b" = read.kind;
    expect(kind).toBe("a");
    expect(read).toEqual({ id: "x", tags: ["t"], kind: "a" });
    expect(read.tags).not.toBe(input.tags);
  });

  test.each([
    [null, "REC_INPUT_TYPE"],
    [[], "REC_INPUT_TYPE"],
    [{ kind: "a" }, "REC_INPUT_MISSING id"],
    [{ id: "", kind: "a" }, "REC_INPUT_LENGTH id"],
    [{ id: "x", kind: "c" }, "REC_INPUT_VALUE kind"],
    [{ id: "x", kind: "a", more: 1 }, "REC_INPUT_UNKNOWN_FIELD more"],
    [{ id: "x", kind: "a", tags: ["1", 2] }, "REC_INPUT_TYPE tags[1]"],
    [{ id: "x", kind: "a", tags: ["1", "2", "3"] }, "REC_INPUT_LENGTH tags"],
    [{ id: "x", kind: "a", inner: { n: 11 } }, "REC_INPUT_RANGE inner.n"],
    [{ id: "x", kind: "a", inner: null }, "REC_INPUT_TYPE inner"],
    [JSON.parse('{"id":"x","kind":"a","__proto__":{"n":1}}'), "REC_INPUT_UNKNOWN_FIELD __proto__"],
    [JSON.parse('{"id":"x","kind":"a","constructor":1}'), "REC_INPUT_UNKNOWN_FIELD constructor"],
  ])("refuses %j", (input, expected) => {
    expect(fault(thing, input)).toBe(expected);
  });

  test("paths pass through arrays of objects", () => {
    const list = object({ items: array(array(thing, { max: 9 }), { max: 9 }) });
    expect(fault(list, { items: [[], [{ id: 1, kind: "a" }]] })).toBe(
      "REC_INPUT_TYPE items[1][0].id",
    );
  });

  test("numbers must be finite and inside", () => {
    const n = number({ min: -1, max: 1 });
    for (const bad of [Number.NaN, ...JSON.parse("[1e999,-1e999]"), 2])
      expect(fault(n, bad)).toContain("RANGE");
    expect(fault(n, "1")).toBe("REC_INPUT_TYPE");
    expect(n.read(0.5)).toBe(0.5);
    expect(fault(integer(range), 1.5)).toBe("REC_INPUT_TYPE");
    expect(fault(integer(range), Number.NaN)).toBe("REC_INPUT_TYPE");
  });

  test("ids count bytes and refuse control characters and lone surrogates", () => {
    const name = id(256);
    expect(name.read("é".repeat(128))).toBe("é".repeat(128));
    expect(fault(name, "é".repeat(129))).toBe("REC_INPUT_LENGTH");
    expect(fault(name, "a".repeat(257))).toBe("REC_INPUT_LENGTH");
    for (const bad of ["a\n", "\u0000", "\u007f", "\u0085", "\ud800", "x\udc00"]) {
      expect(fault(name, bad)).toBe("REC_INPUT_TEXT");
    }
    expect(name.read("a b/%😀")).toBe("a b/%😀");
  });

  test("records keep free keys on no prototype", () => {
    const free = record(union(boolean(), number(range)), { maxKeys: 2 });
    const read = free.read(JSON.parse('{"a":true,"b":2}'));
    expect(Object.getPrototypeOf(read)).toBe(null);
    expect({ ...read }).toEqual({ a: true, b: 2 });
    expect(fault(free, JSON.parse('{"__proto__":1}'))).toContain("UNKNOWN_FIELD");
    expect(fault(free, { a: 1, b: 1, c: 1 })).toBe("REC_INPUT_LENGTH");
    expect(fault(free, { a: "x" })).toBe("REC_INPUT_TYPE a");
  });

  test("a declaration gives its OpenAPI form", () => {
    expect(object({ n: integer(range), b: optional(boolean()) }).openApi).toEqual({
      type: "object",
      properties: { n: { type: "integer", minimum: 0, maximum: 10 }, b: { type: "boolean" } },
      additionalProperties: false,
      required: ["n"],
    });
  });
});

describe("time", () => {
  const at = time({ min: 946_684_800_000, max: 4_102_444_800_000 });

  test("takes RFC 3339 and epoch milliseconds", () => {
    expect(at.read("2024-02-29T12:00:00Z")).toBe(Date.UTC(2024, 1, 29, 12));
    expect(at.read("2024-02-29T12:00:00.250+02:00")).toBe(Date.UTC(2024, 1, 29, 10, 0, 0, 250));
    expect(at.read("2024-02-29t12:00:00-00:30")).toBe(Date.UTC(2024, 1, 29, 12, 30));
    expect(at.read(1_700_000_000_000)).toBe(1_700_000_000_000);
  });

  test.each([
    "2024-02-30T00:00:00Z",
    "2024-02-29",
    "2024-02-29T12:00:00",
    "2024-13-01T00:00:00Z",
    "2024-01-01T24:00:00Z",
    "2024-01-01T00:00:00+24:00",
    "yesterday",
    "1999-12-31T23:59:59Z",
    1_700_000_000,
    1e300,
    Number.POSITIVE_INFINITY,
  ])("refuses %p", (input) => {
    expect(fault(at, input)).toBe("REC_INPUT_TIME");
  });

  test("an invalid date is NaN", () => {
    expect(parseRfc3339("0000-00-00T00:00:00Z")).toBeNaN();
  });
});

import { describe, expect, test } from "bun:test";
import { utf8 } from "../../models/core/bytes.ts";
import { RecError } from "../../models/core/errors.ts";
import { limits } from "../../models/limits.ts";
import { mainTurns, Turns } from "../turns.ts";
import { JsonGuard } from "./json-guard.ts";
import { parseJson, parseJsonInTurns, parseNdjson } from "./json-parse.ts";

function refusal(text: string | Uint8Array): string {
  try {
    parseJson(typeof text === "string" ? utf8(text) : text);
  } catch (thrown) {
    if (thrown instanceof RecError) return `${thrown.code} ${thrown.path}`;
    throw thrown;
  }
  throw new Error("was taken");
}

describe("json guard", () => {
  test.each([
    '{"a":[1,2,{"b":"\\u00e9\\"x\\\\","c":{}}],"d":null}',
    "[]",
    "3",
    ' [ { "a" : "{[,\\"" } , {"a":1} ] ',
    '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}',
    '["é😀"]',
  ])("takes %s", (text) => {
    expect(parseJson(utf8(text))).toEqual(JSON.parse(text));
  });

  test("bounds depth, keys, elements and strings before parsing", () => {
    expect(refusal("[".repeat(20_000))).toStartWith("REC_INPUT_DEPTH [0][0]");
    expect(refusal('{"a":'.repeat(20_000))).toStartWith("REC_INPUT_DEPTH a.a.a");
    const keys = Array.from({ length: 65 }, (_, i) => `"k${i}":1`).join();
    expect(refusal(`{${keys}}`)).toBe("REC_INPUT_KEYS k63");
    const many = Array.from({ length: 200_001 }, () => '{"k":1}').join();
    expect(refusal(`[${many}]`)).toBe("REC_INPUT_KEYS [200000]");
    expect(refusal(`["${"x".repeat(limits.stringBytesMax + 1)}"]`)).toBe("REC_INPUT_LENGTH [0]");
    expect(refusal(`[${"0,".repeat(700_000)}0]`)).toStartWith("REC_INPUT_LENGTH");
  });

  test("a key that stands twice is refused with its path", () => {
    expect(refusal('[{"a":1},{"b":{"c":1,"d":[0,{"e":1,"e":2}]}}]')).toBe(
      "REC_INPUT_DUPLICATE_KEY [1].b.d[1].e",
    );
    expect(refusal('{"ab":1,"a":2,"ab":3}')).toBe("REC_INPUT_DUPLICATE_KEY ab");
    expect(refusal('{"a":1,"\\u0061":2}')).toBe("REC_INPUT_UNKNOWN_FIELD \\u0061");
  });

  test.each([
    "",
    "{",
    "]]]]",
    "}{",
    '{"a":1,}',
    '{"a" 1}',
    '"abc',
    '"abc\\',
    "NaN",
    "01",
    "[1,]",
    "\ufeff{}",
  ])("leaves broken grammar to the parser: %j", (text) => {
    expect(refusal(text)).toBe("REC_INPUT_JSON body");
  });

  test("invalid UTF-8 is refused", () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0x80, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xe2, 0x82, 0x22],
    ]) {
      expect(refusal(Uint8Array.from(bytes))).toBe("REC_INPUT_UTF8 body");
    }
  });

  test("a guard can be used again after a refusal", () => {
    const guard = new JsonGuard();
    const bad = utf8('{"a":{"b":1,"b":1}}');
    expect(guard.scan(bad, 0, bad.length)?.code).toBe("REC_INPUT_DUPLICATE_KEY");
    const good = utf8('{"b":{"a":1}}');
    expect(guard.scan(good, 0, good.length)).toBe(null);
  });
});

describe("in turns", () => {
  const turns = new Turns(0.05);
  const pad = " ".repeat(70_000);
  const element = '{"a":[1,{"b":"x,]}\\""}],"c":null}';
  const many = Array.from({ length: 30_000 }, () => element).join();

  /** The message. Not by `rejects`, whose own loop sleeps over immediates: a minute for a text. */
  const faultInTurns = (bytes: Uint8Array): Promise<string> =>
    parseJsonInTurns(bytes, turns).then(
      () => "none",
      (fault) => String(fault),
    );

  test.each([`[${many}]`, `[${many},${pad}7 ]\n`, `[${pad}]`, `[1${pad},2]`, `{"a":1${pad}}`])(
    "a large text gives what it gives at once",
    async (text) => {
      expect(await parseJsonInTurns(utf8(text), turns)).toEqual(parseJson(utf8(text)));
    },
  );

  test.each([
    ...[`[${many},]`, `[${many},${pad}]`, `[,${many}]`, `[${many},,${many}]`, `[${many}`],
    ...[`[${many}}`, `[${many}],${many}]`, `[${many}]]`, `[${many}][]`, `[${many}]7`],
    ...[`[${many},{"a":1]]`, `[${many},1],[${many}]`, `${many}]`, `x[${many}]`, pad],
    ...[`[${many},{]]`, `[${many},[}]`, `[${many},"]`, `[{"a":[${many}}]`],
  ])("a large broken text is refused, %#", async (text) => {
    expect(() => parseJson(utf8(text))).toThrow("not valid JSON");
    expect(await faultInTurns(utf8(text))).toContain("not valid JSON");
  });

  test("faults and invalid UTF-8 far inside are found", async () => {
    const deep = utf8(`[${many},${"[".repeat(20)}]`);
    expect(await faultInTurns(deep)).toContain("is nested over 16 deep");
    const bytes = utf8(`[${many},"?"]`);
    bytes[bytes.length - 3] = 0xff;
    expect(await faultInTurns(bytes)).toContain("not valid UTF-8");
  });

  test("long strings end where short ones do", () => {
    for (const inside of ["x", '\\"', "\\\\", "é"]) {
      const text = JSON.stringify([`${"y".repeat(100)}`, "z"]).replace("y".repeat(10), inside);
      expect(parseJson(utf8(text))).toEqual(JSON.parse(text));
    }
    expect(refusal(`["${"x".repeat(100)}\\"]`)).toBe("REC_INPUT_JSON body");
  });
});

describe("NDJSON", () => {
  test("a bad line spoils only itself", async () => {
    const lines = await parseNdjson(
      utf8('{"a":1}\n\n  \r\n{"a":\n{"a":1,"a":2}\n{"a":3}'),
      10,
      mainTurns,
    );
    expect(lines.map((line) => ("fault" in line ? line.fault.code : line.value))).toEqual([
      { a: 1 },
      "REC_INPUT_JSON",
      "REC_INPUT_DUPLICATE_KEY",
      { a: 3 },
    ]);
  });

  test("bounds the number of lines", async () => {
    await expect(parseNdjson(utf8("1\n2\n3\n"), 2, mainTurns)).rejects.toThrow("at most 2 lines");
    expect(await parseNdjson(utf8("1\n2\n"), 2, mainTurns)).toHaveLength(2);
    expect(await parseNdjson(utf8(""), 2, mainTurns)).toEqual([]);
  });
});

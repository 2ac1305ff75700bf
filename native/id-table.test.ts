import { expect, test } from "bun:test";
import { IdTable } from "./id-table.ts";

function codeOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  }
  return "nothing thrown";
}

test("rows are dense, stable and found again through many growths", () => {
  const table = IdTable.create({ capacity: 60_000, bytesMax: 60_000 * 32 });
  const idOf = (n: number) => `item-${n * 7919}-ü${"x".repeat(n % 13)}`;
  for (let n = 0; n < 60_000; n++) {
    expect(table.intern(idOf(n))).toBe(n);
    if (n % 97 === 0) for (let k = 0; k <= n; k += 1_009) expect(table.find(idOf(k))).toBe(k);
  }
  for (let n = 0; n < 60_000; n++) {
    if (table.find(idOf(n)) !== n || table.intern(idOf(n)) !== n) throw new Error(`lost ${n}`);
    if (table.id(n) !== idOf(n)) throw new Error(`wrong text ${n}`);
  }
  expect(table.size).toBe(60_000);
  expect(table.find("item-1")).toBe(-1);
  expect(codeOf(() => table.intern("one more"))).toBe("REC_IDS_FULL");
  expect(table.size).toBe(60_000);
  table.release();
});

test("ids that share a beginning, an end or a length stay apart", () => {
  const table = IdTable.create({ capacity: 1_000, bytesMax: 1 << 20 });
  const ids = ["a", "aa", "a".repeat(8), "a".repeat(9), `${"a".repeat(8)}\u0001`, "a".repeat(4096)];
  ids.push("0", "00", "café", "cafe\u0301", "日本", "𝒳");
  expect(ids.map((id) => table.intern(id))).toEqual(ids.map((_, row) => row));
  expect(ids.map((id) => table.find(id))).toEqual(ids.map((_, row) => row));
  expect(ids.map((_, row) => table.id(row))).toEqual(ids);
  table.release();
});

test("pairs in a batch: one row each, new ones in order, and a full table says so", () => {
  const table = IdTable.create({ capacity: 5_000, bytesMax: 0 });
  const expected = new Map<string, number>();
  for (let batch = 0; batch < 12; batch++) {
    const as = Uint32Array.from({ length: 600 }, (_, i) => (i * 7 + batch * 3) % 90);
    const bs = Uint32Array.from({ length: 600 }, (_, i) => (i * 11 + batch) % 77);
    const out = new Uint32Array(600);
    let refused = 0;
    const want = Array.from(as, (a, i) => {
      const key = `${a}/${bs[i]}`;
      const known = expected.get(key);
      if (known !== undefined) return known;
      if (expected.size === 5_000) {
        refused++;
        return 0xffff_ffff;
      }
      expected.set(key, expected.size);
      return expected.size - 1;
    });
    expect(table.internPairs(as, bs, 600, out)).toBe(refused);
    expect([...out]).toEqual(want);
  }
  expect(table.size).toBe(5_000);
  table.release();
});

test("pairs of rows", () => {
  const table = IdTable.create({ capacity: 20_000, bytesMax: 0 });
  for (let a = 0; a < 200; a++) {
    for (let b = 0; b < 100; b += 1 + (a % 3)) table.internPair(a, b);
  }
  const bs = Int32Array.from({ length: 101 }, (_, b) => b - 1);
  const out = new Int32Array(101);
  const pair = new Uint32Array(2);
  for (let a = 0; a < 200; a++) {
    table.findPairs(a, bs, 101, out);
    out.forEach((row, i) => {
      const exists = bs[i] >= 0 && bs[i] % (1 + (a % 3)) === 0;
      expect(row >= 0).toBe(exists);
      if (!exists) return;
      table.pairs(row, 1, pair);
      expect([...pair]).toEqual([a, bs[i]]);
    });
  }
  table.findPairs(0, Uint32Array.of(0xffff_ffff, 0), 2, out);
  expect([...out.subarray(0, 2)]).toEqual([-1, 0]);
  table.release();
});

test("bytes run out before rows", () => {
  const table = IdTable.create({ capacity: 100, bytesMax: 10 });
  table.intern("12345");
  expect(codeOf(() => table.intern("123456"))).toBe("REC_IDS_FULL");
  expect(table.intern("67890")).toBe(1);
  table.release();
});

test("saved ids get the same rows in another table, in pieces", () => {
  const ids = Array.from({ length: 3_000 }, (_, n) => `${n}-é${"y".repeat(n % 40)}`);
  ids[7] = "z".repeat(4_096);
  ids[8] = "\u0000row 8";
  const table = IdTable.create({ capacity: 4_000, bytesMax: 1 << 20 });
  for (const id of ids) table.intern(id);
  const again = IdTable.create({ capacity: 4_000, bytesMax: 1 << 20 });
  expect(table.save(0, 0)).toHaveLength(0);
  expect(again.load(new Uint8Array(0))).toBe(0);
  for (let from = 0; from < ids.length; from += 700) {
    const count = Math.min(700, ids.length - from);
    expect(again.load(table.save(from, count))).toBe(count);
  }
  expect(ids.map((id) => again.find(id))).toEqual(ids.map((_, row) => row));
  expect(again.save(0, ids.length)).toEqual(table.save(0, ids.length));
  // What does not follow, ends early, or finds no room is refused.
  const first = table.save(0, 3);
  expect(codeOf(() => again.load(first))).toBe("REC_NATIVE_ARGUMENT");
  const small = IdTable.create({ capacity: 2, bytesMax: 1 << 10 });
  expect(codeOf(() => small.load(first.subarray(0, first.length - 1)))).toBe("REC_NATIVE_ARGUMENT");
  expect(codeOf(() => small.load(first))).toBe("REC_NATIVE_ARGUMENT");
  expect(codeOf(() => small.load(table.save(2, 1)))).toBe("REC_IDS_FULL");
  expect(codeOf(() => table.save(2_999, 2))).toBe("REC_NATIVE_ARGUMENT");
  for (const one of [table, again, small]) one.release();
});

test("wrong arguments throw", () => {
  const text = IdTable.create({ capacity: 10, bytesMax: 100 });
  const pairs = IdTable.create({ capacity: 10, bytesMax: 0 });
  const argument = "REC_NATIVE_ARGUMENT";
  expect(codeOf(() => text.intern(""))).toBe(argument);
  expect(codeOf(() => text.intern("x".repeat(4097)))).toBe(argument);
  expect(codeOf(() => text.find(7 as unknown as string))).toBe(argument);
  expect(codeOf(() => text.id(0))).toBe(argument);
  expect(codeOf(() => text.id(-1))).toBe(argument);
  expect(codeOf(() => text.id(0.5))).toBe(argument);
  expect(codeOf(() => text.internPair(1, 2))).toBe(argument);
  expect(codeOf(() => pairs.intern("a"))).toBe(argument);
  expect(codeOf(() => pairs.internPair(-1, 2))).toBe(argument);
  expect(codeOf(() => pairs.internPair(1, 2 ** 32))).toBe(argument);
  expect(codeOf(() => pairs.findPairs(1, new Int32Array(1), 2, new Int32Array(2)))).toBe(argument);
  expect(codeOf(() => pairs.findPairs(1, new Int32Array(2), 2, new Int32Array(1)))).toBe(argument);
  expect(codeOf(() => IdTable.create({ capacity: 0, bytesMax: 1 }))).toBe(argument);
  expect(codeOf(() => IdTable.create({ capacity: 1, bytesMax: 2 ** 50 }))).toBe(argument);
  for (const handle of [0, -1, 999_999, 1.5, Number.NaN]) {
    expect(String(codeOf(() => IdTable.attach(handle)))).toMatch(/HANDLE|ARGUMENT/);
  }
  text.release();
  expect(codeOf(() => text.find("a"))).toBe("REC_NATIVE_HANDLE");
  expect(codeOf(() => text.release())).toBe("REC_NATIVE_HANDLE");
  pairs.release();
});

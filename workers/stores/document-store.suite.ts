import { describe, expect, test } from "bun:test";
import { RecError } from "../../models/core/errors.ts";
import { Random } from "../../models/core/random.ts";
import type { DocumentStore } from "./document-store.ts";

export interface DocumentStoreFixture {
  readonly store: DocumentStore;
  /** Closes and opens the same storage; null where nothing outlives the store. */
  readonly reopen: (() => DocumentStore) | null;
  /** The same storage for a thread that only reads, while `store` is open. */
  readonly reader: (() => DocumentStore) | null;
}

const put = (row: number, text: string) => ({
  kind: "item" as const,
  row,
  id: `i${row}`,
  json: JSON.stringify({ text }),
});

export function runDocumentStoreSuite(name: string, create: () => DocumentStoreFixture): void {
  describe(`document store: ${name}`, () => {
    test("puts, replaces, deletes; kinds are apart", async () => {
      const { store } = create();
      expect(store.appliedOffset()).toBe(0);
      store.apply([put(1, "a"), put(2, "b"), { ...put(1, "u"), kind: "user" }], 3);
      store.apply([put(1, "c"), { ...put(2, ""), json: null }], 5);
      expect(await store.getMany("item", [2, 1, 7])).toEqual([
        null,
        { row: 1, id: "i1", json: '{"text":"c"}' },
        null,
      ]);
      expect((await store.getMany("user", [1]))[0]?.json).toBe('{"text":"u"}');
      expect(store.appliedOffset()).toBe(5);
      store.close();
    });

    test("what was synced is said with its offset", () => {
      const { store } = create();
      expect(store.sync()).toBe(0);
      store.apply([put(1, "a")], 4);
      expect(store.sync()).toBe(4);
      store.close();
    });

    test("a change that fails changes nothing, nor the offset", async () => {
      const { store } = create();
      store.apply([put(1, "a")], 1);
      const bad = { ...put(2, "b"), row: 1.5 };
      expect(() => store.apply([put(1, "z"), bad], 9)).toThrow(RecError);
      expect((await store.getMany("item", [1]))[0]?.json).toBe('{"text":"a"}');
      expect(store.appliedOffset()).toBe(1);
      store.close();
    });

    test("all documents in row order, also while changes come", () => {
      const { store } = create();
      const changes = Array.from({ length: 2_500 }, (_, i) => put(2_499 - i, `t${i}`));
      store.apply(changes, 2_500);
      const rows: number[] = [];
      for (const document of store.all("item")) {
        rows.push(document.row);
        if (document.row === 10) store.apply([put(3, "changed")], 2_501);
      }
      expect(rows).toEqual(Array.from({ length: 2_500 }, (_, i) => i));
      expect([...store.all("user")]).toEqual([]);
      store.close();
    });

    stateTests(create);
  });
}

function stateTests(create: () => DocumentStoreFixture): void {
  test("equals a map after random changes and reopening", async () => {
    const { store, reopen } = create();
    const random = new Random(3);
    const expected = new Map<number, string>();
    for (let round = 1; round <= 40; round++) {
      const changes = Array.from({ length: random.int(20) }, () => {
        const change = put(random.int(50), `é"${round}`);
        return random.next() < 0.3 ? { ...change, json: null } : change;
      });
      store.apply(changes, round);
      for (const { row, json } of changes) {
        if (json === null) expected.delete(row);
        else expected.set(row, json);
      }
    }
    const again = reopen === null ? store : reopen();
    expect(again.appliedOffset()).toBe(40);
    const rows = Array.from({ length: 50 }, (_, i) => i);
    const got = await again.getMany("item", rows);
    expect(got.map((one) => one?.json)).toEqual(rows.map((row) => expected.get(row)));
    again.close();
  });

  test("a reader sees changes at once and cannot write", async () => {
    const { store, reader } = create();
    if (reader === null) return store.close();
    store.apply([put(1, "a")], 1);
    const other = reader();
    expect((await other.getMany("item", [1]))[0]?.id).toBe("i1");
    store.apply([put(2, "b")], 2);
    expect((await other.getMany("item", [2]))[0]?.id).toBe("i2");
    expect(other.appliedOffset()).toBe(2);
    expect(() => other.apply([put(3, "c")], 3)).toThrow(RecError);
    other.close();
    store.close();
  });
}

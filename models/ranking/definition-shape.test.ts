import { describe, expect, test } from "bun:test";
import { RecError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import feed from "../definition/default.ts";
import { definitionHash } from "../definition/hash.ts";
import { limits } from "../limits.ts";
import { idTableOf } from "./definition-shape.ts";

/** What a module without types may say. */
function tableOf(itemIds: unknown) {
  const parsed = JSON.parse(JSON.stringify({ ...feed.ranking, itemIds }));
  return idTableOf({ ranking: parsed }, "itemIds");
}

describe("ids of a definition", () => {
  test("have rows of their own, one of so many, or share so many", () => {
    expect(tableOf(undefined)).toEqual({ kind: "own", rows: null });
    expect(tableOf({ kind: "exact" })).toEqual({ kind: "own", rows: null });
    expect(tableOf({ kind: "exact", rows: 9 })).toEqual({ kind: "recycled", rows: 9 });
    const rows = limits.idRowsMax;
    expect(tableOf({ kind: "hashed", rows })).toEqual({ kind: "hashed", rows });
  });

  test("whatever else is said is refused with its place, and never throws anything else", () => {
    const random = new Random(3);
    const [odd] = [["", "hash", null, true, -1, 0, 1, 1.5, 1e9, 2 ** 40, "7", [], {}]];
    const any = () => odd[random.int(odd.length)];
    for (let i = 0; i < 500; i++) {
      const kinds = ["hashed", "exact", any()];
      const said = random.int(8) === 0 ? any() : { kind: kinds[random.int(3)], rows: any() };
      const wrong = (() => {
        try {
          return tableOf(said);
        } catch (error) {
          return error;
        }
      })();
      if (!(wrong instanceof RecError)) throw new Error(`${JSON.stringify(said)} gave ${wrong}`);
      expect(wrong.code).toBe("REC_CONFIG_DEFINITION");
      expect(wrong.path).toMatch(/^ranking\.itemIds(\.rows)?$/);
      expect(wrong.message).toContain(wrong.path ?? "?");
    }
  });

  test("a table of another size is another model", () => {
    const hashOf = (rows: number) =>
      definitionHash({ ...feed, ranking: { ...feed.ranking, userIds: { kind: "hashed", rows } } });
    expect(hashOf(100)).not.toBe(hashOf(101));
  });
});

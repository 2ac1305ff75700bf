import { expect, test } from "bun:test";
import feed from "./default.ts";
import { definitionHash } from "./hash.ts";

test("a definition's hash follows what it says, not how it is written", () => {
  const hash = definitionHash(feed);
  expect(hash).toMatch(/^[0-9a-f]{32}$/);
  const reversed = Object.fromEntries(Object.entries(feed).reverse());
  expect(definitionHash({ ...feed, ...reversed })).toBe(hash);
  expect(definitionHash({ ...feed, learning: { rate: 0.01 } })).toBe(hash);
  expect(definitionHash({ ...feed, slateDefault: feed.slateDefault + 1 })).not.toBe(hash);
});

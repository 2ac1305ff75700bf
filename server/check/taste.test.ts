import { expect, test } from "bun:test";
import { shareOf, topOf } from "./taste.ts";

const item = (...categories: string[]) => ({ id: "x", title: "X", categories });

test("a user's main categories are those of most of what he liked", () => {
  const liked = [item("war", "drama"), item("drama"), item("comedy", "drama"), item("war"), item()];
  expect(topOf(liked)).toEqual(["drama", "war", "comedy"]);
  expect(topOf([])).toEqual([]);
});

test("an item is of a user's categories where one of its own is among them", () => {
  const slate = [item("war", "sci-fi"), item("comedy"), item(), item("drama")];
  expect(shareOf(slate, ["drama", "war"])).toBe(0.5);
  expect(shareOf([], ["drama"])).toBe(0);
});

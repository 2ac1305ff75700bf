import { expect, test } from "bun:test";
import { parseOptions } from "./options.ts";

const specs = { models: { kind: "text", help: "those to run", default: "a,b" } } as const;
const known = ["a", "b", "c"] as const;

test("a list of names is of known ones, in its own order", () => {
  expect(parseOptions([], specs).names("models", known)).toEqual(["a", "b"]);
  expect(parseOptions(["--models", "c,a"], specs).names("models", known)).toEqual(["c", "a"]);
});

test("an unknown name is refused, and those that are known are said", () => {
  for (const list of ["a,d", "", "a,"]) {
    const options = parseOptions([`--models=${list}`], specs);
    expect(() => options.names("models", known)).toThrow("--models has no ");
  }
});

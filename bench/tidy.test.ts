import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  type Fault,
  filesEnding,
  importsOf,
  parse,
  readSource,
  resolveImport,
  root,
} from "./tidy/project.ts";
import {
  banned,
  brokenLinks,
  functionLengths,
  importArrows,
  parameterCounts,
  shape,
} from "./tidy/rules.ts";

const sources = filesEnding([".ts"]).map(readSource);
const native = filesEnding([".cpp", ".h"]).map(readSource);

function show(faults: readonly Fault[]): string[] {
  return faults.map((fault) => `${fault.file}:${fault.line}: ${fault.message}`);
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

/** A definition is loaded by the path that a setting names. */
function isDefinition(file: string): boolean {
  return /^export default defineRecommender\(/m.test(readSource(file).text);
}

/** Entry points: started by name, by a thread, or by a test runner. */
function isEntry(file: string): boolean {
  return (
    /\.test\.ts$/.test(file) ||
    /(^|\/)main\.ts$/.test(file) ||
    /^bench\/[^/]+\.ts$/.test(file) ||
    file === "native/build.ts" ||
    /^native\/test\//.test(file) ||
    /^bench\/peers\//.test(file) ||
    isDefinition(file)
  );
}

/** Tests, and what only tests need: suites, fakes, oracles, twins. */
function forTests(file: string): boolean {
  return (
    /\.(test|suite|fake|oracle|fixture)\.ts$/.test(file) ||
    /(^|\/)(testing|reference|tidy)\//.test(file) ||
    /(^|\/)(fakes|(fake|faulty|delayed)-[a-z-]+)\.ts$/.test(file)
  );
}

describe("the project", () => {
  test("imports go one way", () => {
    expect(show(sources.flatMap(importArrows))).toEqual([]);
  });

  test("lines and files are short", () => {
    expect(show([...sources, ...native].flatMap(shape))).toEqual([]);
    const lengths = [...sources, ...native].map((source) => source.text.split("\n").length);
    expect(percentile(lengths, 0.9)).toBeLessThanOrEqual(320);
  });

  test("functions are short", () => {
    const measured = sources.map(functionLengths);
    expect(show(measured.flatMap(({ faults }) => faults))).toEqual([]);
    const lengths = measured.flatMap((one) => one.lengths);
    expect(percentile(lengths, 0.5)).toBeLessThanOrEqual(12);
    expect(percentile(lengths, 0.9)).toBeLessThanOrEqual(40);
  });

  test("functions take at most four parameters", () => {
    expect(show(sources.flatMap(parameterCounts))).toEqual([]);
  });

  test("holds nothing that is banned", () => {
    expect(show(sources.flatMap(banned))).toEqual([]);
  });

  test("has no file that only its own test uses", () => {
    const importedBy = (files: readonly (typeof sources)[number][]) =>
      new Set(
        files.flatMap((source) =>
          importsOf(parse(source)).map(({ specifier }) => resolveImport(source.file, specifier)),
        ),
      );
    const used = importedBy(sources.filter(({ file }) => !forTests(file)));
    const usedInTests = importedBy(sources);
    const dead = sources.filter(({ file }) => {
      if (isEntry(file)) return false;
      return forTests(file) ? !usedInTests.has(file) : !used.has(file);
    });
    expect(dead.map(({ file }) => file)).toEqual([]);
  });

  test("links in Markdown lead somewhere", () => {
    const pages = filesEnding([".md"]).map(readSource);
    const exists = (file: string) => existsSync(join(root, file));
    expect(show(pages.flatMap((page) => brokenLinks(page, exists)))).toEqual([]);
  });
});

describe("the rules themselves", () => {
  const messages = (faults: readonly Fault[]) => faults.map(({ message }) => message).join("\n");

  test("an arrow that goes up is found", () => {
    const up = { file: "models/a.ts", text: 'import { x } from "../server/b.ts";' };
    expect(messages(importArrows(up))).toContain("models may not import server");
    const sibling = { file: "workers/joiner/a.ts", text: 'import "../trainer/b.ts";' };
    expect(messages(importArrows(sibling))).toContain("roles meet at the stores");
    const adapter = { file: "server/a.ts", text: 'import "../workers/stores/embedded/b.ts";' };
    expect(messages(importArrows(adapter))).toContain("by URL");
    const inside = { file: "models/a.ts", text: 'import "../native/kernels.ts";' };
    expect(messages(importArrows(inside))).toContain("one door");
  });

  test("every ban bites", () => {
    const text = [
      "let a: any; enum B { C } export default 1;",
      "const d = a as string; Date.now(); Math.random(); setTimeout(f, 1); console.log(1);",
    ].join("\n");
    expect(banned({ file: "models/x.ts", text }).length).toBe(8);
    expect(banned({ file: "models/x.test.ts", text: "test.only('a', f);" }).length).toBe(1);
    expect(banned({ file: "models/x.ts", text: "const a = [1] as const;" })).toEqual([]);
  });

  test("lengths and parameters are counted", () => {
    const long = { file: "models/x.ts", text: `function f() {\n${"g();\n".repeat(70)}}` };
    expect(functionLengths(long).faults.length).toBe(1);
    expect(shape({ file: "x.ts", text: "x".repeat(101) }).length).toBe(1);
    expect(shape({ file: "x.ts", text: "x\n".repeat(501) }).length).toBe(1);
    const wide = { file: "x.ts", text: "function f(a, b, c, d, e) {}" };
    expect(parameterCounts(wide).length).toBe(1);
  });

  test("a dead link is found", () => {
    const page = { file: "server/README.md", text: "[a](gone.md) [b](../README.md) [c](http://x)" };
    expect(brokenLinks(page, (file) => file === "README.md").length).toBe(1);
  });
});

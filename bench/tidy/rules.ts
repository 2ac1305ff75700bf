import ts from "typescript";
import {
  type Fault,
  importsOf,
  lineOf,
  parse,
  resolveImport,
  type SourceText,
  walk,
} from "./project.ts";

/** Folders in their one direction: each may import itself and what stands before it. */
const order = ["native", "models", "workers", "server", "bench"];

/** The roles of workers/: siblings meet at the stores, never inside each other. */
const roles = ["ranking", "windows", "joiner", "trainer", "recall", "simulator"];
const adapters = ["embedded", "kafka", "redis", "milvus"];

function isTest(file: string): boolean {
  return /\.(test|suite)\.ts$/.test(file) || file.includes("/testing/");
}

function arrowFault(from: string, to: string): string | null {
  const [fromTop, fromRole] = from.split("/");
  const [toTop, toRole, toStore] = to.split("/");
  const fromRank = order.indexOf(fromTop ?? "");
  const toRank = order.indexOf(toTop ?? "");
  if (fromRank < 0 || toRank < 0) return null;
  if (toRank > fromRank) return `${fromTop} may not import ${toTop}: move what both need down`;
  if (isTest(from) || fromTop === "bench") return null;
  if (toTop === "native" && fromTop !== "native" && to !== "native/index.ts") {
    return "native has one door: import native/index.ts";
  }
  if (fromTop === "server" && toRole === "stores" && adapters.includes(toStore ?? "")) {
    return "server opens stores by URL: call workers/stores/open.ts";
  }
  if (fromTop !== "workers" || toTop !== "workers" || fromRole === toRole) return null;
  const bothRoles = roles.includes(fromRole ?? "") && roles.includes(toRole ?? "");
  if (bothRoles) {
    return `role ${fromRole} may not import role ${toRole}: roles meet at the stores`;
  }
  return null;
}

export function importArrows(source: SourceText): Fault[] {
  const faults: Fault[] = [];
  for (const { specifier, line } of importsOf(parse(source))) {
    const target = resolveImport(source.file, specifier);
    const message = target === null ? null : arrowFault(source.file, target);
    if (message !== null) faults.push({ file: source.file, line, message });
  }
  return faults;
}

/** Line counts of the functions of a file, and the faults of the overlong. */
export function functionLengths(source: SourceText): { lengths: number[]; faults: Fault[] } {
  const tree = parse(source);
  const lengths: number[] = [];
  const faults: Fault[] = [];
  walk(tree, (node) => {
    if (!ts.isFunctionLike(node) || !("body" in node) || node.body === undefined) return;
    if (isDescribe(node)) return;
    const from = lineOf(tree, node);
    const length = tree.getLineAndCharacterOfPosition(node.end).line + 2 - from;
    lengths.push(length);
    const limit = 70;
    if (length > limit) {
      faults.push({
        file: source.file,
        line: from,
        message: `function of ${length} lines (limit ${limit}): split it where it changes subject`,
      });
    }
  });
  return { lengths, faults };
}

/** The callback of describe() and of a suite is a list of tests, not a function to be short. */
function isDescribe(node: ts.Node): boolean {
  const call = node.parent;
  return ts.isCallExpression(call) && /^describe/.test(call.expression.getText());
}

export function shape(source: SourceText): Fault[] {
  const faults: Fault[] = [];
  const lines = source.text.split("\n");
  if (lines.length > 501) {
    faults.push({
      file: source.file,
      line: 501,
      message: `file of ${lines.length - 1} lines (limit 500): it holds two things`,
    });
  }
  lines.forEach((text, index) => {
    // A link, or a path that is imported alone, has no place to break.
    const long = text.length > 100 && !/https?:\/\/|^import .* from "/.test(text);
    if (long) faults.push({ file: source.file, line: index + 1, message: "over 100 columns" });
  });
  return faults;
}

/** Where `as` may stand: codecs turn bytes into types. */
const codecs = [/^native\//, /^models\/core\/(bytes|schema)\.ts$/, /codec/, /^models\/snapshot\//];

interface Ban {
  readonly name: string;
  readonly replacement: string;
  readonly applies: (file: string) => boolean;
  readonly matches: (node: ts.Node) => boolean;
}

const everywhere = () => true;
const inProduct = (file: string) => !isTest(file);
const inModels = (file: string) => file.startsWith("models/") && !isTest(file);

function isCallOf(node: ts.Node, name: string): boolean {
  return ts.isCallExpression(node) && node.expression.getText() === name;
}

const bans: readonly Ban[] = [
  {
    name: "any",
    replacement: "unknown and a check",
    applies: everywhere,
    matches: (node) => node.kind === ts.SyntaxKind.AnyKeyword,
  },
  {
    name: "enum",
    replacement: "a union of string literals",
    applies: everywhere,
    matches: (node) => ts.isEnumDeclaration(node),
  },
  {
    // A definition is loaded by its path, so its one export has no name to agree on.
    name: "default export",
    replacement: "a named export (only a definition is a default export)",
    applies: everywhere,
    matches: (node) =>
      ts.isExportAssignment(node) && !node.expression.getText().startsWith("defineRecommender("),
  },
  {
    name: "`as`",
    replacement: "a type guard, a schema, or `satisfies`",
    applies: (file) => inProduct(file) && !codecs.some((codec) => codec.test(file)),
    matches: (node) => ts.isAsExpression(node) && node.type.getText() !== "const",
  },
  {
    name: "Date.now in models",
    replacement: "a Clock that is passed in",
    applies: inModels,
    matches: (node) => isCallOf(node, "Date.now"),
  },
  {
    name: "Math.random",
    replacement: "a Random that is passed in",
    applies: inProduct,
    matches: (node) => isCallOf(node, "Math.random"),
  },
  {
    name: "a timer in models",
    replacement: "the caller's loop",
    applies: inModels,
    matches: (node) => isCallOf(node, "setTimeout") || isCallOf(node, "setInterval"),
  },
  {
    name: "console",
    replacement: "the structured log, or process.stdout.write in a command",
    applies: (file) => /^(models|workers|server)\//.test(file) && !isTest(file),
    matches: (node) =>
      ts.isPropertyAccessExpression(node) && node.expression.getText() === "console",
  },
  {
    name: "a focused test",
    replacement: "the whole suite",
    applies: isTest,
    matches: (node) => isCallOf(node, "test.only") || isCallOf(node, "describe.only"),
  },
];

export function banned(source: SourceText): Fault[] {
  const tree = parse(source);
  const faults: Fault[] = [];
  const applying = bans.filter((ban) => ban.applies(source.file));
  walk(tree, (node) => {
    for (const ban of applying) {
      if (!ban.matches(node)) continue;
      const message = `${ban.name} is banned: use ${ban.replacement}`;
      faults.push({ file: source.file, line: lineOf(tree, node), message });
    }
  });
  return faults;
}

export function parameterCounts(source: SourceText): Fault[] {
  const tree = parse(source);
  const faults: Fault[] = [];
  walk(tree, (node) => {
    if (!ts.isFunctionLike(node) || !("body" in node) || node.parameters.length <= 4) return;
    const message = `${node.parameters.length} parameters (limit 4): pass an options object`;
    faults.push({ file: source.file, line: lineOf(tree, node), message });
  });
  return faults;
}

/** Relative links of a Markdown page that lead nowhere. */
export function brokenLinks(source: SourceText, exists: (file: string) => boolean): Fault[] {
  const faults: Fault[] = [];
  source.text.split("\n").forEach((text, index) => {
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g), ...text.matchAll(/href="([^"]+)"/g)];
    for (const [, link = ""] of links) {
      if (/^(https?:|mailto:|#)/.test(link)) continue;
      const target = resolveImport(source.file, `./${link.split("#")[0]}`) ?? "";
      if (exists(target.replace(/\/$/, ""))) continue;
      faults.push({ file: source.file, line: index + 1, message: `dead link: ${link}` });
    }
  });
  return faults;
}

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

/** The repository's root. */
export const root = join(import.meta.dir, "..", "..");

/** One fault: where, what, and what to do instead. */
export interface Fault {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

export interface SourceText {
  /** Path from the root, with forward slashes. */
  readonly file: string;
  readonly text: string;
}

const skipped = new Set(["node_modules", "build", "data", ".git"]);

/** Every file below the fixed top-level folders whose name ends in one of `endings`. */
export function filesEnding(endings: readonly string[], folder = ""): string[] {
  const found: string[] = [];
  for (const name of readdirSync(join(root, folder)).sort()) {
    if (skipped.has(name)) continue;
    const file = folder === "" ? name : `${folder}/${name}`;
    if (statSync(join(root, file)).isDirectory()) found.push(...filesEnding(endings, file));
    else if (endings.some((ending) => name.endsWith(ending))) found.push(file);
  }
  return found;
}

export function readSource(file: string): SourceText {
  return { file, text: readFileSync(join(root, file), "utf8") };
}

export function parse(source: SourceText): ts.SourceFile {
  return ts.createSourceFile(source.file, source.text, ts.ScriptTarget.Latest, true);
}

/** Line number (from 1) of a node. */
export function lineOf(tree: ts.SourceFile, node: ts.Node): number {
  return tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;
}

export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

/** Module specifiers of static and dynamic imports, exports and `new URL(...)` of workers. */
export function importsOf(tree: ts.SourceFile): { specifier: string; line: number }[] {
  const found: { specifier: string; line: number }[] = [];
  walk(tree, (node) => {
    if (ts.isStringLiteral(node) && isSpecifier(node)) {
      found.push({ specifier: node.text, line: lineOf(tree, node) });
    }
  });
  return found;
}

function isSpecifier(node: ts.StringLiteral): boolean {
  const parent = node.parent;
  if (ts.isImportDeclaration(parent) || ts.isExportDeclaration(parent)) return true;
  if (ts.isLiteralTypeNode(parent) && ts.isImportTypeNode(parent.parent)) return true;
  if (ts.isCallExpression(parent)) return parent.expression.kind === ts.SyntaxKind.ImportKeyword;
  return ts.isNewExpression(parent) && parent.expression.getText() === "URL";
}

/** The file that a relative specifier names, from the root; null for packages. */
export function resolveImport(from: string, specifier: string): string | null {
  if (!specifier.startsWith(".")) return null;
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

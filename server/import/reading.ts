import { createReadStream, existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { messageOf, RecError } from "../../models/core/errors.ts";
import type { OnBytes } from "./types.ts";

/** Streaming text files, plain or gzip, line by line. */

export interface TextLine {
  readonly line: number;
  readonly text: string;
}

const lineBytesMax = 1 << 20;

function openStream(path: string, onBytes: OnBytes): Readable {
  const file = createReadStream(path, { highWaterMark: 256 << 10 });
  file.on("data", (chunk) => onBytes(chunk.length));
  if (!path.endsWith(".gz")) return file;
  const plain = createGunzip();
  file.on("error", (error) => plain.destroy(error));
  return file.pipe(plain);
}

/**
 * Lines of a file in batches, one for each chunk that is read; line numbers from 1, line ends
 * (LF or CRLF) left out. Throws REC_IMPORT_FILE on a file that cannot be read, is no UTF-8, or has
 * a line over 1 MiB.
 */
export async function* readLines(path: string, onBytes: OnBytes): AsyncGenerator<TextLine[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let line = 1;
  let rest = "";
  try {
    for await (const chunk of openStream(path, onBytes)) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      if (rest.length > lineBytesMax) throw new Error("a line of over 1 MiB");
      yield parts.map((text) => ({ line: line++, text: withoutReturn(text) }));
    }
    rest += decoder.decode();
  } catch (cause) {
    const where = `${basename(path)}, after line ${line - 1}`;
    throw new RecError("REC_IMPORT_FILE", `${where}: ${messageOf(cause)}`, { cause });
  }
  if (rest !== "") yield [{ line, text: withoutReturn(rest) }];
}

function withoutReturn(text: string): string {
  return text.endsWith("\r") ? text.slice(0, -1) : text;
}

export interface Row {
  readonly line: number;
  readonly fields: readonly string[];
}

/**
 * Rows of a delimited file. With quotes (RFC 4180) a field may hold separators, doubled quotes and
 * line ends; without, every separator separates. Empty lines are skipped.
 */
export async function* readRows(
  path: string,
  options: { separator: string; quotes: boolean; onBytes: OnBytes },
): AsyncGenerator<Row[]> {
  let open: TextLine | null = null;
  for await (const lines of readLines(path, options.onBytes)) {
    const rows: Row[] = [];
    for (const next of lines) {
      const whole: TextLine = open === null ? next : joined(open, next);
      open = null;
      if (whole.text === "") continue;
      if (options.quotes && whole.text.includes('"')) {
        const fields = quotedFields(whole.text, options.separator);
        if (fields === null) open = whole;
        else rows.push({ line: whole.line, fields });
      } else rows.push({ line: whole.line, fields: whole.text.split(options.separator) });
    }
    yield rows;
  }
  if (open === null) return;
  const message = `${basename(path)}:${open.line}: a quote is never closed`;
  throw new RecError("REC_IMPORT_FILE", message);
}

function joined(open: TextLine, next: TextLine): TextLine {
  if (open.text.length > lineBytesMax) {
    throw new RecError("REC_IMPORT_FILE", `line ${open.line}: a quote is never closed`);
  }
  return { line: open.line, text: `${open.text}\n${next.text}` };
}

/** Null while a quote is open. */
export function quotedFields(text: string, separator: string): string[] | null {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] !== '"') {
      const end = text.indexOf(separator, at);
      fields.push(end < 0 ? text.slice(at) : text.slice(at, end));
      if (end < 0) return fields;
      at = end + separator.length;
      continue;
    }
    const end = closingQuote(text, at + 1);
    if (end < 0) return null;
    fields.push(text.slice(at + 1, end).replaceAll('""', '"'));
    if (end + 1 >= text.length) return fields;
    at = end + 1 + separator.length;
  }
}

function closingQuote(text: string, from: number): number {
  let at = text.indexOf('"', from);
  while (at >= 0 && text[at + 1] === '"') at = text.indexOf('"', at + 2);
  return at;
}

/** The file `name` or `name.gz` in a folder; null where there is neither. */
export function findFile(folder: string, name: string): string | null {
  for (const candidate of [name, `${name}.gz`]) {
    const path = join(folder, candidate);
    if (existsSync(path)) return path;
  }
  return null;
}

/** As `findFile`, or REC_IMPORT_FILE naming what is missing. */
export function needFile(folder: string, name: string): string {
  const found = findFile(folder, name);
  if (found !== null) return found;
  throw new RecError("REC_IMPORT_FILE", `${folder} holds no ${name} (nor ${name}.gz)`);
}

/** Files of a folder (or the file itself) whose name, without .gz, ends so; sorted. */
export function filesEnding(path: string, ending: string): string[] {
  const fits = (name: string) => name.replace(/\.gz$/, "").endsWith(ending);
  if (!existsSync(path)) throw new RecError("REC_IMPORT_FILE", `${path} does not exist`);
  if (!statSync(path).isDirectory()) return fits(path) ? [path] : [];
  const names = readdirSync(path).filter(fits);
  return names.sort().map((name) => join(path, name));
}

import { existsSync, statSync } from "node:fs";
import { basename } from "node:path";
import { RecError } from "../../models/core/errors.ts";
import { parseRfc3339 } from "../../models/core/schema-text.ts";
import { numberOf, withIdentity } from "./identity.ts";
import type {
  CategoriesColumn,
  Condition,
  FileMapping,
  ListColumn,
  Mapping,
  NumericColumn,
  TimeUnit,
} from "./mapping-schema.ts";
import { findFile, readRows } from "./reading.ts";
import type { Entity, Faults, ImportDocument, ImportSource, OnBytes, Place } from "./types.ts";

/** A row with its columns by name; `undefined` for an empty field. */
class TableRow {
  readonly place: Place;
  readonly #fields: readonly string[];
  readonly #columns: ReadonlyMap<string, number>;

  constructor(place: Place, fields: readonly string[], columns: ReadonlyMap<string, number>) {
    this.place = place;
    this.#fields = fields;
    this.#columns = columns;
  }

  text(column: string | undefined): string | undefined {
    const at = column === undefined ? undefined : this.#columns.get(column);
    return at === undefined ? undefined : this.#fields[at] || undefined;
  }

  /** NaN, with a fault where the field is neither empty nor a number. */
  number(column: NumericColumn | undefined, faults: Faults): number {
    if (column === undefined) return Number.NaN;
    const plain = typeof column === "string" ? { column, scale: 1 } : column;
    const text = this.text(plain.column);
    // Millionths: 45916 x 0.001 is to be 45.916.
    const value = Math.round(numberOf(text) * (plain.scale ?? 1) * 1e6) / 1e6;
    if (text !== undefined && !Number.isFinite(value)) {
      faults.add(this.place, plain.column, `is ${text}: must be a number`);
    }
    return value;
  }

  list(column: ListColumn | undefined): string[] | undefined {
    if (column === undefined) return undefined;
    const plain = typeof column === "string" ? { column, split: "|" } : column;
    const names = this.text(plain.column)?.split(plain.split);
    return names?.map((name) => name.trim()).filter((name) => name !== "");
  }

  /** Undefined where nothing is known, so that an earlier row's categories stand. */
  categories(column: CategoriesColumn | undefined, faults: Faults): string[] | undefined {
    if (!isBuckets(column)) return this.list(column);
    const value = this.number(column.column, faults);
    if (!(value > 0)) return undefined;
    const reached = column.bounds.filter((bound) => bound <= value).length;
    return [`${column.name}${reached}`];
  }

  holds(condition: Condition, faults: Faults): boolean {
    if (typeof condition === "string") {
      const value = this.number(condition, faults);
      return Number.isFinite(value) && value !== 0;
    }
    const { column, above, atLeast, below, equals } = condition;
    if (equals !== undefined && this.text(column) !== equals) return false;
    if (above === undefined && atLeast === undefined && below === undefined) {
      return equals !== undefined;
    }
    const value = this.number(column, faults);
    if (Number.isNaN(value)) return false;
    return (
      value > (above ?? -Infinity) && value >= (atLeast ?? -Infinity) && value < (below ?? Infinity)
    );
  }
}

type Buckets = Extract<CategoriesColumn, { bounds: readonly number[] }>;

function isBuckets(column: CategoriesColumn | undefined): column is Buckets {
  return typeof column === "object" && "bounds" in column;
}

export interface MappedOptions {
  /** Interactions of the definition: emits that ask for others `ifDefined` are left out. */
  readonly types?: ReadonlySet<string>;
  /** Every row's document as the row says it, not joined with those of earlier rows. */
  readonly rowDocuments?: boolean;
}

/**
 * Tables with a heading, of any columns, read as a mapping file says. PATH is their folder, or the
 * one table.
 */
export function mappedSource(
  path: string,
  mapping: Mapping,
  options: MappedOptions = {},
): ImportSource {
  const rowDocuments = options.rowDocuments === true;
  const tables = mapping.files.flatMap((file) => {
    const found = locate(path, file.file);
    return found === null ? [] : [{ path: found, mapping: suited(file, options.types) }];
  });
  if (tables.length === 0) {
    const names = mapping.files.map(({ file }) => file).join(", ");
    throw new RecError("REC_IMPORT_FILE", `${path} holds none of ${names}`);
  }
  return {
    files: tables.map((table) => table.path),
    mapping: mapping.about ?? "as the mapping file says",
    async *read(faults, onBytes) {
      for (const table of tables) {
        yield* readTable(table.path, table.mapping, { faults, onBytes, rowDocuments });
      }
    },
  };
}

/** The mapping without the events that this definition has no interaction for. */
function suited(file: FileMapping, types: ReadonlySet<string> | undefined): FileMapping {
  const { events } = file;
  if (events === undefined || types === undefined) return file;
  const emit = events.emit.filter(({ ifDefined, type }) => ifDefined !== true || types.has(type));
  return { ...file, events: { ...events, emit } };
}

function locate(path: string, name: string): string | null {
  if (!existsSync(path)) throw new RecError("REC_IMPORT_FILE", `${path} does not exist`);
  if (statSync(path).isDirectory()) return findFile(path, name);
  return basename(path).replace(/\.gz$/, "") === name ? path : null;
}

async function* readTable(
  path: string,
  mapping: FileMapping,
  into: { faults: Faults; onBytes: OnBytes; rowDocuments: boolean },
): AsyncGenerator<Entity[]> {
  const { faults, onBytes, rowDocuments } = into;
  const file = basename(path);
  const separator = mapping.separator ?? (file.includes(".tsv") ? "\t" : ",");
  const known = rowDocuments ? null : new Map<string, Readonly<Record<string, unknown>>>();
  let columns: ReadonlyMap<string, number> | null = null;
  for await (const rows of readRows(path, { separator, quotes: separator !== "\t", onBytes })) {
    const out: Entity[] = [];
    for (const { line, fields } of rows) {
      const place = { file, line };
      if (columns === null) {
        columns = new Map(fields.map((name, at) => [name, at]));
        if (!hasColumns(place, columns, mapping, faults)) return;
      } else if (fields.length !== columns.size) {
        faults.add(place, "row", `has ${fields.length} fields, not ${columns.size}`);
      } else
        out.push(...entitiesOf(new TableRow(place, fields, columns), mapping, { faults, known }));
    }
    yield out;
  }
}

/** Every column that the mapping names must be there. */
function hasColumns(
  place: Place,
  columns: ReadonlyMap<string, number>,
  mapping: FileMapping,
  faults: Faults,
): boolean {
  const before = faults.total;
  for (const column of columnsNamed(mapping)) {
    if (!columns.has(column)) faults.add(place, column, "the column is missing");
  }
  return faults.total === before;
}

function columnsNamed({ events, items, users }: FileMapping): Set<string> {
  const nameOf = (column: string | { column: string } | undefined) =>
    typeof column === "object" ? column.column : column;
  const emitted = events?.emit.flatMap(({ when, value }) => [when, value]) ?? [];
  const named = [
    ...[events?.user, events?.item, events?.time, ...emitted],
    ...[items?.id, items?.title, items?.categories, items?.tags, items?.author],
    ...[items?.publishedAt, items?.durationSeconds],
    ...[users?.id, users?.country, users?.language, users?.gender, users?.ageYears],
    ...Object.values(users?.properties ?? {}),
  ];
  return new Set(named.map(nameOf).filter((column) => column !== undefined));
}

/**
 * `known`: documents as yielded so far, so that a table of events yields each item once; null
 * where each row speaks for itself.
 */
function entitiesOf(
  row: TableRow,
  mapping: FileMapping,
  context: { faults: Faults; known: Map<string, Readonly<Record<string, unknown>>> | null },
): Entity[] {
  const { faults, known } = context;
  const out: Entity[] = [];
  const documents = [
    { kind: "item" as const, value: mapping.items && itemOf(row, mapping.items, faults) },
    { kind: "user" as const, value: mapping.users && userOf(row, mapping.users, faults) },
  ];
  for (const { kind, value } of documents) {
    if (value === undefined) continue;
    // Rows know different things of one item: a later gap takes nothing away.
    const key = `${kind} ${value.id}`;
    const before = known?.get(key);
    const unknown = kind === "item" ? unknownBucket(mapping) : {};
    const whole: ImportDocument = { ...unknown, ...before, ...value };
    known?.set(key, whole);
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(whole)) continue;
    out.push({ kind, value: whole, place: row.place });
  }
  if (mapping.events !== undefined) out.push(...eventsOf(row, mapping.events, faults));
  return out;
}

/** The categories of an item of which no row has said a number yet. */
function unknownBucket({ items }: FileMapping): { categories?: string[] } {
  return isBuckets(items?.categories) ? { categories: [items.categories.name] } : {};
}

function eventsOf(
  row: TableRow,
  events: NonNullable<FileMapping["events"]>,
  faults: Faults,
): Entity[] {
  const user = row.text(events.user) ?? "";
  const item = row.text(events.item) ?? "";
  const time = timeOf(row, events.time, events.timeUnit ?? "ms");
  if (Number.isNaN(time)) {
    faults.add(row.place, events.time, `is ${row.text(events.time)}: must be a time`);
    return [];
  }
  return events.emit.flatMap(({ type, when, value: column }) => {
    if (when !== undefined && !row.holds(when, faults)) return [];
    const value = row.number(column, faults);
    const plain = { type, user, item, time, ...(Number.isFinite(value) ? { value } : {}) };
    return [{ kind: "event" as const, value: withIdentity(plain), place: row.place }];
  });
}

function timeOf(row: TableRow, column: string, unit: TimeUnit): number {
  const text = row.text(column);
  if (unit === "rfc3339") return parseRfc3339(text ?? "");
  return Math.round(numberOf(text) * (unit === "s" ? 1_000 : 1));
}

function itemOf(
  row: TableRow,
  mapping: NonNullable<FileMapping["items"]>,
  faults: Faults,
): ImportDocument {
  const { publishedAt } = mapping;
  const published =
    publishedAt === undefined || row.text(publishedAt) === undefined
      ? undefined
      : timeOf(row, publishedAt, mapping.publishedAtUnit ?? "ms");
  const duration = row.number(mapping.durationSeconds, faults);
  return defined(row.text(mapping.id), {
    title: row.text(mapping.title),
    categories: row.categories(mapping.categories, faults),
    tags: row.list(mapping.tags),
    author: row.text(mapping.author),
    publishedAt: published,
    durationSeconds: duration > 0 ? duration : undefined,
  });
}

function userOf(
  row: TableRow,
  mapping: NonNullable<FileMapping["users"]>,
  faults: Faults,
): ImportDocument {
  const age = row.number(mapping.ageYears, faults);
  const properties = Object.entries(mapping.properties ?? {})
    .map(([name, column]) => [name, row.text(column)] as const)
    .filter(([, text]) => text !== undefined);
  return defined(row.text(mapping.id), {
    country: row.text(mapping.country),
    language: row.text(mapping.language),
    gender: row.text(mapping.gender),
    ageYears: Number.isFinite(age) ? age : undefined,
    properties: properties.length === 0 ? undefined : Object.fromEntries(properties),
  });
}

function defined(
  id: string | undefined,
  fields: Readonly<Record<string, unknown>>,
): ImportDocument {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return { id: id ?? "", ...Object.fromEntries(given) };
}

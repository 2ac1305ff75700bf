import { basename } from "node:path";
import { RecError } from "../../models/core/errors.ts";
import { numberOf, ratingEvents, ratingMapping, startOfYear, withIdentity } from "./identity.ts";
import { filesEnding, readRows } from "./reading.ts";
import type { Entity, Faults, ImportDocument, ImportSource, OnBytes, Place } from "./types.ts";

type Values = ReadonlyMap<string, string>;
type Convert = (place: Place, values: Values, faults: Faults) => Entity[];

/**
 * RecBole's atomic files: `.inter`, and where they are there `.item` and `.user`; tab-separated
 * under a heading of `name:type`. PATH is their folder, or one of them.
 */
export function recboleSource(path: string): ImportSource {
  const parts: { file: string; convert: Convert; needed: readonly string[] }[] = [
    ...filesEnding(path, ".item").map((file) => ({ file, convert: item, needed: ["item_id"] })),
    ...filesEnding(path, ".user").map((file) => ({ file, convert: user, needed: ["user_id"] })),
    ...filesEnding(path, ".inter").map((file) => ({
      ...{ file, convert: interaction, needed: ["user_id", "item_id", "timestamp"] },
    })),
  ];
  if (parts.length === 0) {
    throw new RecError("REC_IMPORT_FILE", `${path} holds no .inter, .item or .user file`);
  }
  return {
    files: parts.map(({ file }) => file),
    mapping: `${ratingMapping}; without a rating each row is an impression and a click`,
    async *read(faults, onBytes) {
      for (const { file, convert, needed } of parts) {
        for await (const rows of typedRows(file, { needed, faults, onBytes })) {
          yield rows.flatMap(({ place, values }) => convert(place, values, faults));
        }
      }
    },
  };
}

const types = new Set(["token", "token_seq", "float", "float_seq"]);

/** Names of the columns of a typed heading; null, with faults, where it is none. */
function columnsOf(
  place: Place,
  fields: readonly string[],
  needed: readonly string[],
  faults: Faults,
): string[] | null {
  const before = faults.total;
  const names = fields.map((field) => {
    const [name = "", type = ""] = field.split(":");
    if (!types.has(type)) faults.add(place, field, `the type must be ${[...types].join(", ")}`);
    return name;
  });
  for (const name of needed) {
    if (!names.includes(name)) faults.add(place, name, "the column is missing");
  }
  return faults.total > before ? null : names;
}

async function* typedRows(
  path: string,
  options: { needed: readonly string[]; faults: Faults; onBytes: OnBytes },
): AsyncGenerator<{ place: Place; values: Values }[]> {
  const { needed, faults, onBytes } = options;
  const file = basename(path);
  let columns: string[] | null = null;
  for await (const rows of readRows(path, { separator: "\t", quotes: false, onBytes })) {
    const out: { place: Place; values: Values }[] = [];
    for (const row of rows) {
      const place = { file, line: row.line };
      if (columns === null) {
        columns = columnsOf(place, row.fields, needed, faults);
        if (columns === null) return;
      } else if (row.fields.length !== columns.length) {
        faults.add(place, "row", `has ${row.fields.length} fields, not ${columns.length}`);
      } else {
        out.push({ place, values: new Map(columns.map((name, i) => [name, row.fields[i] ?? ""])) });
      }
    }
    yield out;
  }
}

function interaction(place: Place, values: Values, faults: Faults): Entity[] {
  const user = values.get("user_id") ?? "";
  const item = values.get("item_id") ?? "";
  const stamp = numberOf(values.get("timestamp"));
  if (!Number.isFinite(stamp)) {
    faults.add(place, "timestamp", `is ${values.get("timestamp")}: must be seconds since 1970`);
    return [];
  }
  // Some sets come in milliseconds; as seconds those would lie beyond the year 5000.
  const time = Math.round(stamp > 1e11 ? stamp : stamp * 1_000);
  const events = values.has("rating")
    ? ratingEvents({ user, item, time, value: ratingOf(place, values, faults) })
    : ["impression", "click"].map((type) => withIdentity({ type, user, item, time }));
  return events.map((value) => ({ kind: "event", value, place }));
}

function ratingOf(place: Place, values: Values, faults: Faults): number {
  const rating = numberOf(values.get("rating"));
  if (!(rating >= 0 && rating <= 5)) {
    faults.add(place, "rating", `is ${values.get("rating")}: must be 0 to 5`);
  }
  return rating;
}

function firstOf(values: Values, names: readonly string[]): string | undefined {
  const found = names.map((name) => values.get(name)).find((text) => text !== undefined);
  return found === "" ? undefined : found;
}

const titles = ["title", "movie_title", "name", "item_name", "artist_name"];
const categoryNames = ["categories", "category", "class", "genre", "genres"];
const years = ["release_year", "year"];

function item(place: Place, values: Values): Entity[] {
  const title = firstOf(values, titles);
  const categories = firstOf(values, categoryNames)?.split(/[ ,|]+/);
  const year = numberOf(firstOf(values, years));
  const value: ImportDocument = {
    id: values.get("item_id") ?? "",
    ...(title === undefined ? {} : { title }),
    ...(categories === undefined ? {} : { categories: categories.filter((name) => name !== "") }),
    ...(year >= 1_900 && year < 2_100 ? { publishedAt: startOfYear(year) } : {}),
  };
  return [{ kind: "item", value, place }];
}

const ownFields = ["country", "language", "gender"];

function user(place: Place, values: Values): Entity[] {
  const age = numberOf(values.get("age"));
  const known = ownFields.filter((name) => (values.get(name) ?? "") !== "");
  const rest = [...values].filter(
    ([name, text]) => !["user_id", "age", ...ownFields].includes(name) && text !== "",
  );
  const value: ImportDocument = {
    id: values.get("user_id") ?? "",
    ...Object.fromEntries(known.map((name) => [name, values.get(name)])),
    ...(Number.isFinite(age) ? { ageYears: age } : {}),
    ...(rest.length === 0 ? {} : { properties: Object.fromEntries(rest) }),
  };
  return [{ kind: "user", value, place }];
}

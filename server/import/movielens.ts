import { basename } from "node:path";
import { numberOf, ratingEvents, ratingMapping, startOfYear } from "./identity.ts";
import { findFile, needFile, type Row, readRows } from "./reading.ts";
import type { Entity, Faults, ImportSource, OnBytes, Place } from "./types.ts";

const tagsMax = 16;

/**
 * MovieLens as CSV (ml-latest-small, ml-25m ...): movies.csv, ratings.csv and, where it is there,
 * tags.csv. Genres become categories, the year at the end of a title `publishedAt`, the most used
 * tags of a movie its tags.
 */
export function movielensSource(folder: string): ImportSource {
  const movies = needFile(folder, "movies.csv");
  const ratings = needFile(folder, "ratings.csv");
  const tags = findFile(folder, "tags.csv");
  return {
    files: tags === null ? [movies, ratings] : [tags, movies, ratings],
    mapping: ratingMapping,
    async *read(faults, onBytes) {
      const tagsByMovie = tags === null ? new Map() : await readTags(tags, faults, onBytes);
      for await (const { place, fields } of checkedRows(movies, movieColumns, faults, onBytes)) {
        yield [movie(place, fields, tagsByMovie)];
      }
      let batch: Entity[] = [];
      for await (const { place, fields } of checkedRows(ratings, ratingColumns, faults, onBytes)) {
        batch.push(...rated(place, fields, faults));
        if (batch.length < 1_000) continue;
        yield batch;
        batch = [];
      }
      yield batch;
    },
  };
}

const movieColumns = ["movieId", "title", "genres"] as const;
const ratingColumns = ["userId", "movieId", "rating", "timestamp"] as const;
const tagColumns = ["userId", "movieId", "tag", "timestamp"] as const;

/** Rows under the expected heading with the right number of fields; others are faults. */
async function* checkedRows(
  path: string,
  columns: readonly string[],
  faults: Faults,
  onBytes: OnBytes,
): AsyncGenerator<{ place: Place; fields: readonly string[] }> {
  const file = basename(path);
  let first = true;
  for await (const rows of readRows(path, { separator: ",", quotes: true, onBytes })) {
    for (const row of rows) {
      const place = { file, line: row.line };
      if (first) {
        first = false;
        if (row.fields.join(",") === columns.join(",")) continue;
        faults.add(place, "heading", `must be ${columns.join(",")}`);
        return;
      }
      if (hasFields(row, columns.length)) yield { place, fields: row.fields };
      else faults.add(place, "row", `has ${row.fields.length} fields, not ${columns.length}`);
    }
  }
  if (first) faults.add({ file, line: 1 }, "heading", "the file is empty");
}

function hasFields(row: Row, count: number): boolean {
  return row.fields.length === count;
}

async function readTags(
  path: string,
  faults: Faults,
  onBytes: OnBytes,
): Promise<Map<string, string[]>> {
  const counts = new Map<string, Map<string, number>>();
  for await (const { fields } of checkedRows(path, tagColumns, faults, onBytes)) {
    const [, movieId = "", tag = ""] = fields;
    const name = tag.trim().toLowerCase();
    if (name === "") continue;
    const ofMovie = counts.get(movieId) ?? new Map<string, number>();
    ofMovie.set(name, (ofMovie.get(name) ?? 0) + 1);
    counts.set(movieId, ofMovie);
  }
  const most = (ofMovie: Map<string, number>) =>
    [...ofMovie].sort((a, b) => b[1] - a[1]).slice(0, tagsMax);
  return new Map([...counts].map(([id, tags]) => [id, most(tags).map(([name]) => name)]));
}

function movie(
  place: Place,
  fields: readonly string[],
  tagsByMovie: ReadonlyMap<string, readonly string[]>,
): Entity {
  const [id = "", title = "", genres = ""] = fields;
  const year = /\((\d{4})\)\s*$/.exec(title)?.[1];
  const categories = genres.split("|").filter((genre) => genre !== "(no genres listed)");
  const tags = tagsByMovie.get(id);
  const value = {
    id,
    title: title.trim(),
    categories: categories.filter((genre) => genre !== ""),
    ...(tags === undefined ? {} : { tags }),
    ...(year === undefined ? {} : { publishedAt: startOfYear(Number(year)) }),
  };
  return { kind: "item", value, place };
}

function rated(place: Place, fields: readonly string[], faults: Faults): Entity[] {
  const [user = "", item = "", rating, timestamp] = fields;
  const value = numberOf(rating);
  const seconds = numberOf(timestamp);
  if (!(value >= 0 && value <= 5)) {
    faults.add(place, "rating", `is ${rating}: must be 0.5 to 5`);
    return [];
  }
  if (!Number.isFinite(seconds)) {
    faults.add(place, "timestamp", `is ${timestamp}: must be seconds since 1970`);
    return [];
  }
  const events = ratingEvents({ user, item, value, time: Math.round(seconds * 1_000) });
  return events.map((event) => ({ kind: "event", value: event, place }));
}

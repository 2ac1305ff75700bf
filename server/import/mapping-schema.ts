import { readFileSync } from "node:fs";
import { messageOf, RecError } from "../../models/core/errors.ts";
import {
  array,
  boolean,
  Fault,
  type Infer,
  number,
  object,
  optional,
  record,
  union,
} from "../../models/core/schema.ts";
import { oneOf, string } from "../../models/core/schema-text.ts";

/** The mapping file: which column of any table means what. Text values name columns. */

const name = string({ minBytes: 1, maxBytes: 200 });
const anyNumber = number({ min: -1e15, max: 1e15 });

/** A column read as a number, times `scale`. */
const numeric = union(name, object({ column: name, scale: optional(anyNumber) }));

/** A column name alone: its number is not 0. Otherwise all the bounds that are given. */
const condition = union(
  name,
  object({
    column: name,
    above: optional(anyNumber),
    atLeast: optional(anyNumber),
    below: optional(anyNumber),
    equals: optional(string({ maxBytes: 200 })),
  }),
);

const timeUnit = oneOf(["ms", "s", "rfc3339"]);
const split = object({ column: name, split: string({ minBytes: 1, maxBytes: 8 }) });

/**
 * One name made from a number: `name` and the number of `bounds` that are at or below it, such as
 * `length2`. An item of which no row has a number above 0 is in `name` alone.
 */
const buckets = object({
  column: name,
  name,
  bounds: array(anyNumber, { min: 1, max: 64 }),
});
const list = union(name, split);
const categories = union(list, buckets);

const fileMapping = object({
  /** Name of the file in the folder; `.gz` may follow it there. */
  file: name,
  separator: optional(oneOf([",", "\t", ";", "|"])),
  events: optional(
    object({
      user: name,
      item: name,
      time: name,
      timeUnit: optional(timeUnit),
      emit: array(
        object({
          type: name,
          when: optional(condition),
          value: optional(numeric),
          /** Left out, rather than refused, where the definition has no such interaction. */
          ifDefined: optional(boolean()),
        }),
        { min: 1, max: 32 },
      ),
    }),
  ),
  items: optional(
    object({
      id: name,
      title: optional(name),
      categories: optional(categories),
      tags: optional(list),
      author: optional(name),
      publishedAt: optional(name),
      publishedAtUnit: optional(timeUnit),
      /** Left out where it is 0 or less: tables write 0 for unknown. */
      durationSeconds: optional(numeric),
    }),
  ),
  users: optional(
    object({
      id: name,
      country: optional(name),
      language: optional(name),
      gender: optional(name),
      ageYears: optional(numeric),
      /** Property name -> column. */
      properties: optional(record(name, { maxKeys: 64 })),
    }),
  ),
});

const mappingSchema = object({
  about: optional(string({ maxBytes: 4_000 })),
  files: array(fileMapping, { min: 1, max: 32 }),
});

export type FileMapping = Infer<typeof fileMapping>;
export type Mapping = Infer<typeof mappingSchema>;
export type NumericColumn = Infer<typeof numeric>;
export type Condition = Infer<typeof condition>;
export type ListColumn = Infer<typeof list>;
export type CategoriesColumn = Infer<typeof categories>;
export type TimeUnit = Infer<typeof timeUnit>;

/** Reads and checks a mapping; throws REC_IMPORT_MAPPING with the place of the fault. */
export function parseMapping(text: string): Mapping {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RecError("REC_IMPORT_MAPPING", `is no JSON: ${messageOf(cause)}`, { cause });
  }
  const mapping = mappingSchema.read(value);
  if (!(mapping instanceof Fault)) return mapping;
  const { path, message } = mapping;
  throw new RecError("REC_IMPORT_MAPPING", `${path} ${message}`, { path });
}

export function readMapping(path: string): Mapping {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new RecError("REC_IMPORT_MAPPING", messageOf(cause), { cause });
  }
  return parseMapping(text);
}

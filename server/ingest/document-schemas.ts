import {
  array,
  boolean,
  type Infer,
  number,
  object,
  optional,
  record,
  type Schema,
  union,
} from "../../models/core/schema.ts";
import { id, string, time } from "../../models/core/schema-text.ts";
import { limits } from "../../models/limits.ts";
import { earliestMs, latestMs } from "./validate.ts";

/** The documents of items and users in the default definition. */

const coordinateMax = 1e6;
const secondsMax = 1e7;
/** Items may be older than the epoch of events: films, books. */
const documentTimes = { min: Date.UTC(1900, 0, 1), max: latestMs };

const word = id(limits.idBytesMax);
const words = array(word, { max: limits.listLengthMax });

const itemFields = {
  title: optional(string({ maxBytes: limits.stringBytesMax })),
  /** The first `limits.itemCategoriesMax` count in features and routes. */
  categories: optional(words),
  tags: optional(words),
  author: optional(word),
  publishedAt: optional(time(documentTimes)),
  durationSeconds: optional(number({ min: 0, max: secondsMax })),
  hidden: optional(boolean()),
  expiresAt: optional(time({ min: earliestMs, max: latestMs })),
  embedding: optional(
    array(number({ min: -coordinateMax, max: coordinateMax }), {
      min: 1,
      max: limits.embeddingLengthMax,
    }),
  ),
} as const;

const scalar: Schema<string | number | boolean> = union(
  string({ maxBytes: limits.stringBytesMax }),
  union(number({ min: -1e15, max: 1e15 }), boolean()),
);

const userFields = {
  country: optional(word),
  language: optional(word),
  gender: optional(word),
  ageYears: optional(number({ min: 0, max: 150 })),
  tags: optional(words),
  createdAt: optional(time(documentTimes)),
  properties: optional(record(scalar, { maxKeys: limits.listLengthMax })),
} as const;

export const itemDocument = object(itemFields);
export const userDocument = object(userFields);
/** Elements of a batch carry their id. */
export const itemElement = object({ id: word, ...itemFields });
export const userElement = object({ id: word, ...userFields });
export const itemBatch = array(itemElement, { max: limits.batchItemsMax });
export const userBatch = array(userElement, { max: limits.batchItemsMax });
export type ItemDocument = Infer<typeof itemDocument>;
export type UserDocument = Infer<typeof userDocument>;

const timeFields = ["publishedAt", "expiresAt", "createdAt"];

/** JSON text of a checked document: times leave as RFC 3339. */
export function documentJson(document: Readonly<Record<string, unknown>>): string {
  const out: Record<string, unknown> = { ...document };
  for (const name of timeFields) {
    const value = out[name];
    if (typeof value === "number") out[name] = new Date(value).toISOString();
  }
  return JSON.stringify(out);
}

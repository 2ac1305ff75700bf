import {
  array,
  boolean,
  Fault,
  integer,
  number,
  object,
  optional,
  type Range,
  record,
  type Schema,
  union,
} from "../../models/core/schema.ts";
import { id, oneOf, string, time } from "../../models/core/schema-text.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { limits } from "../../models/limits.ts";
import { earliestMs, eventSchema, latestMs } from "../ingest/validate.ts";

/** The bodies and queries of the v1 contract, made from a definition. */

const anId = id(limits.idBytesMax);
const slateSize = { min: 1, max: limits.slateItemsMax };
const weightMax = 1e6;

const contextValue: Schema<string | number | boolean> = union(
  string({ maxBytes: limits.idBytesMax }),
  union(number({ min: -1e15, max: 1e15 }), boolean()),
);

/** Times may name any second from 1990 to 2100; the handler holds them to the clock. */
const eventTime = time({ min: earliestMs, max: latestMs });

/** One optional weight a head, so that an unknown head is refused with its path. */
function weightsSchema(definition: RecommenderDefinition) {
  const weight = optional(number({ min: -weightMax, max: weightMax }));
  const heads = definition.heads.map((head) => [head.name, weight] as const);
  return object(Object.fromEntries(heads));
}

const answerFields = {
  deadlineMs: optional(integer({ min: 1, max: limits.deadlineMsMax })),
  details: optional(boolean()),
  explain: optional(boolean()),
} as const;

export function recommendSchema(definition: RecommenderDefinition) {
  const recent = object({
    item: anId,
    type: oneOf(definition.interactions.map((interaction) => interaction.name)),
    time: optional(eventTime),
  });
  return object({
    user: optional(anId),
    recent: optional(array(recent, { max: limits.recentItemsMax })),
    n: optional(integer(slateSize)),
    context: optional(record(contextValue, { maxKeys: limits.contextKeysMax })),
    exclude: optional(array(anId, { max: limits.excludeItemsMax })),
    categories: optional(array(anId, { max: limits.listLengthMax })),
    weights: optional(weightsSchema(definition)),
    ...answerFields,
  });
}

export function rankSchema(definition: RecommenderDefinition) {
  return object({
    user: optional(anId),
    items: array(anId, { min: 1, max: limits.rankItemsMax }),
    weights: optional(weightsSchema(definition)),
    ...answerFields,
  });
}

/** For OpenAPI: what a batch of events looks like. */
export function eventBatchSchema(definition: RecommenderDefinition) {
  return array(eventSchema(definition.interactions), { max: limits.batchEventsMax });
}

/** A whole number written in a query. */
export function integerText(range: Range): Schema<number> {
  const inner = integer(range);
  return {
    openApi: inner.openApi,
    read(input) {
      const digits = typeof input === "string" && /^-?\d{1,15}$/.test(input);
      return digits ? inner.read(Number(input)) : new Fault("REC_INPUT_TYPE", "must be an integer");
    },
  };
}

export function flagText(): Schema<boolean> {
  return {
    openApi: { type: "boolean" },
    read(input) {
      if (input === "true" || input === "false") return input === "true";
      return new Fault("REC_INPUT_TYPE", "must be true or false");
    },
  };
}

export const similarQuery = object({
  n: optional(integerText(slateSize)),
  details: optional(flagText()),
});

export const popularQuery = object({
  n: optional(integerText(slateSize)),
  category: optional(anId),
  details: optional(flagText()),
});

export const noQuery = object({});
export const idParameter = anId;
export const versionParameter = integerText({ min: 0, max: 0xffff_ffff });

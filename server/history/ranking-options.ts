import { RecError } from "../../models/core/errors.ts";
import { parseRfc3339 } from "../../models/core/schema-text.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { type ComparedModel, comparedModels } from "../../models/ranking/model-types.ts";
import { seenMax } from "../../models/training/embedding-updates.ts";
import type { OptionSpec, ParsedOptions } from "../commands/options.ts";
import { namedSource } from "../import/named-source.ts";
import type { HistoryPart } from "./read-history.ts";

/** Options that `train ranking` and `evaluate ranking` have in common. */
export const rankingSpecs: Readonly<Record<string, OptionSpec>> = {
  data: { kind: "text", help: "history to train on (see --train-until)" },
  train: { kind: "text", help: "instead: history to train on, all of it" },
  test: { kind: "text", help: "... and history to judge on" },
  "train-until": { kind: "text", help: "rows from then on are judged on (RFC 3339 or YYYY-MM-DD)" },
  format: { kind: "text", help: "movielens, recbole or jsonl; not needed with --map" },
  map: { kind: "text", help: "a mapping file: which column of your tables means what" },
  definition: { kind: "text", help: "a definition module (REC_DEFINITION; else the default one)" },
  epochs: {
    kind: "number",
    help: "times that the history is learned",
    default: 20,
    min: 1,
    max: 200,
  },
  batch: { kind: "number", help: "samples of a step", default: 256, min: 1, max: 8_192 },
  rate: { kind: "number", help: "learning rate", default: 0.002, min: 1e-6, max: 1 },
  average: { kind: "number", help: "last epochs whose weights are averaged", default: 17, min: 1 },
  decay: {
    kind: "number",
    help: "weight decay times the root of the number of steps; 0: none",
    ...{ default: 0.05, min: 0, max: 1 },
  },
  "user-ids": {
    kind: "number",
    help: "occurrences of a user in an epoch before the id is learned; else the definition's",
    ...{ min: 0, max: seenMax },
  },
  "item-ids": {
    kind: "number",
    help: "the same of an item",
    ...{ min: 0, max: seenMax },
  },
  "online-rate": {
    kind: "number",
    help: "share of the rate at which a server learns on from the snapshot",
    ...{ default: 0.1, min: 1e-6, max: 1 },
  },
  seed: { kind: "number", help: "the same seed gives the same model", default: 1, min: 0 },
  draws: {
    kind: "number",
    help: "bootstrap draws of users; 0: none",
    default: 200,
    min: 0,
    max: 1e4,
  },
  json: { kind: "flag", help: "the figures as JSON" },
};

/** The model that `evaluate ranking` judges. */
export const modelSpecs: Readonly<Record<string, OptionSpec>> = {
  model: { kind: "text", help: `${comparedModels.join(", ")}; else the definition's own` },
};

/** What `--model` names. */
export function modelOf(options: ParsedOptions): { model?: ComparedModel } {
  const name = options.text("model");
  if (name === undefined) return {};
  const model = comparedModels.find((one) => one === name);
  return model === undefined
    ? refuse(`no model ${name}`, `one of ${comparedModels.join(", ")}`)
    : { model };
}

export const rankingNotes = `PATH is a folder or a file; .gz is read as it is. History is replayed
in its own time through the counters that serve, and a row's features say only what was strictly
earlier; rows of one millisecond know nothing of each other. In mapped tables a row's item is as
that row says it, in other formats as its document does.
An example: --map server/import/kuairand.map.json
  --definition models/definition/examples/kuairand.ts`;

function refuse(message: string, fix: string): never {
  throw new RecError("REC_COMMAND_OPTION", message, { fix });
}

/** The files that the options name, and the time from which rows are judged on. */
export function historyParts(
  options: ParsedOptions,
  definition: RecommenderDefinition,
): { parts: HistoryPart[]; heldFromMs?: number } {
  const types = new Set(definition.interactions.map(({ name }) => name));
  const [format, map] = [options.text("format"), options.text("map")];
  const part = (path: string, held: boolean): HistoryPart => ({
    ...{ held, source: namedSource(path, { format, map, types, rowDocuments: true }) },
  });
  const [data, train, test] = ["data", "train", "test"].map((name) => options.text(name));
  if (data !== undefined && train === undefined && test === undefined) {
    const until = options.text("train-until");
    const parts = [part(data, false)];
    return until === undefined ? { parts } : { parts, heldFromMs: timeOf(until) };
  }
  if (data !== undefined || train === undefined) {
    refuse("which history?", "--data PATH, or --train PATH with --test PATH");
  }
  return { parts: [part(train, false), ...(test === undefined ? [] : [part(test, true)])] };
}

function timeOf(text: string): number {
  const timeMs = parseRfc3339(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (Number.isNaN(timeMs)) refuse(`--train-until is ${text}`, "such as 2026-01-31T00:00:00Z");
  return timeMs;
}

/** How the ranker is trained. */
export function trainOptionsOf(options: ParsedOptions) {
  return {
    epochs: options.number("epochs"),
    batch: options.number("batch"),
    learningRate: options.number("rate"),
    decay: options.number("decay"),
    onlineRate: options.number("online-rate"),
    ...{ seed: options.number("seed"), average: options.number("average") },
    admission: {
      users: options.optionalNumber("user-ids"),
      items: options.optionalNumber("item-ids"),
    },
  };
}

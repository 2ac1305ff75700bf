import { basename } from "node:path";
import { messageOf, RecError } from "../../models/core/errors.ts";
import { isRecord } from "../../models/core/schema.ts";
import { parseRfc3339 } from "../../models/core/schema-text.ts";
import { withIdentity } from "./identity.ts";
import { filesEnding, readLines } from "./reading.ts";
import type { Entity, Faults, ImportSource, Place } from "./types.ts";

type Kind = Entity["kind"];

/**
 * One v1 element a line. PATH is a file or a folder of them (.jsonl, .ndjson); a file whose name
 * holds `items` or `users` has documents, any other events, which need a time.
 */
export function jsonlSource(path: string): ImportSource {
  const found = [...filesEnding(path, ".jsonl"), ...filesEnding(path, ".ndjson")];
  if (found.length === 0) {
    throw new RecError("REC_IMPORT_FILE", `${path} holds no .jsonl or .ndjson file`);
  }
  const order: readonly Kind[] = ["item", "user", "event"];
  const files = found.sort((a, b) => order.indexOf(kindOf(a)) - order.indexOf(kindOf(b)));
  return {
    files,
    mapping: "lines are v1 events, items and users as they are",
    async *read(faults, onBytes) {
      for (const file of files) {
        const kind = kindOf(file);
        for await (const lines of readLines(file, onBytes)) {
          yield lines.flatMap(({ line, text }) => {
            const place = { file: basename(file), line };
            return text.trim() === "" ? [] : element(place, kind, text, faults);
          });
        }
      }
    },
  };
}

function kindOf(path: string): Kind {
  const name = basename(path);
  if (name.includes("items")) return "item";
  return name.includes("users") ? "user" : "event";
}

function element(place: Place, kind: Kind, text: string, faults: Faults): Entity[] {
  const value = parsed(place, text, faults);
  if (value === null) return [];
  if (kind === "event") return event(place, value, faults);
  if (typeof value.id !== "string") {
    faults.add(place, "id", "is required, a string");
    return [];
  }
  return [{ kind, value: { ...value, id: value.id }, place }];
}

function parsed(
  place: Place,
  text: string,
  faults: Faults,
): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
    faults.add(place, "line", "must be an object");
  } catch (error) {
    faults.add(place, "line", `is no JSON: ${messageOf(error)}`);
  }
  return null;
}

const eventFields = ["id", "type", "user", "item", "time", "value", "requestId"];

function event(place: Place, value: Readonly<Record<string, unknown>>, faults: Faults): Entity[] {
  const before = faults.total;
  const text = (name: string): string => {
    const field = value[name];
    if (typeof field === "string") return field;
    faults.add(place, name, field === undefined ? "is required" : "must be a string");
    return "";
  };
  for (const name of Object.keys(value)) {
    if (!eventFields.includes(name)) faults.add(place, name, "is not known");
  }
  const plain = {
    ...{ type: text("type"), user: text("user"), item: text("item") },
    time: timeOf(place, value.time, faults),
    ...(value.value === undefined ? {} : { value: numeric(place, value.value, faults) }),
    ...(value.requestId === undefined ? {} : { requestId: text("requestId") }),
  };
  const whole = value.id === undefined ? withIdentity(plain) : { id: text("id"), ...plain };
  return faults.total > before ? [] : [{ kind: "event", value: whole, place }];
}

function numeric(place: Place, value: unknown, faults: Faults): number {
  if (typeof value === "number") return value;
  faults.add(place, "value", "must be a number");
  return 0;
}

function timeOf(place: Place, time: unknown, faults: Faults): number {
  const ms = typeof time === "string" ? parseRfc3339(time) : time;
  if (typeof ms === "number" && Number.isFinite(ms)) return Math.floor(ms);
  faults.add(place, "time", "is required: RFC 3339 or epoch milliseconds");
  return 0;
}

import { RecError } from "../../models/core/errors.ts";
import { Fault, type Schema } from "../../models/core/schema.ts";
import { parseJson } from "./json-guard.ts";
import type { Call } from "./router.ts";

/** From a call to checked values; every refusal is a RecError with code and path. */

function refuse(fault: Fault, whole: string): RecError {
  return new RecError(fault.code, fault.message, { path: fault.path === "" ? whole : fault.path });
}

export function readBodyAs<T>(call: Call, schema: Schema<T>): T {
  const value = schema.read(parseJson(call.body));
  if (value instanceof Fault) throw refuse(value, "body");
  return value;
}

export function readParameterAs<T>(call: Call, schema: Schema<T>): T {
  const value = schema.read(call.parameter);
  if (value instanceof Fault) throw refuse(value, "path");
  return value;
}

/** A name that stands twice is refused, like one that is not known. */
export function readQueryAs<T>(call: Call, schema: Schema<T>): T {
  const fields: Record<string, unknown> = Object.create(null);
  for (const [name, text] of call.query) {
    if (name in fields) {
      throw new RecError("REC_INPUT_DUPLICATE_KEY", "stands twice", { path: `query.${name}` });
    }
    fields[name] = text;
  }
  const value = schema.read(fields);
  if (value instanceof Fault) throw refuse(value.within("query"), "query");
  return value;
}

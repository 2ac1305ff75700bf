import { RecError } from "../../models/core/errors.ts";
import { Fault, type Schema, wrongType } from "../../models/core/schema.ts";
import { mainTurns } from "../turns.ts";
import { parseJson, parseJsonInTurns } from "./json-parse.ts";
import type { Call } from "./router.ts";

/** From a call to checked values; every refusal is a RecError with code and path. */

/** So many elements are checked between two looks at the clock. */
const turnElements = 256;

function refuse(fault: Fault, whole: string): RecError {
  return new RecError(fault.code, fault.message, { path: fault.path === "" ? whole : fault.path });
}

export function readBodyAs<T>(call: Call, schema: Schema<T>): T {
  const value = schema.read(parseJson(call.body));
  if (value instanceof Fault) throw refuse(value, "body");
  return value;
}

/** A list of `element`, at most `max`, checked in turns with the rest of the main thread. */
export async function readListAs<T>(
  call: Call,
  { element, max }: { element: Schema<T>; max: number },
): Promise<T[]> {
  const list = await parseJsonInTurns(call.body, mainTurns);
  if (!Array.isArray(list)) throw refuse(wrongType("an array", list), "body");
  if (list.length > max) {
    throw refuse(new Fault("REC_INPUT_LENGTH", `must have at most ${max} elements`), "body");
  }
  const out: T[] = [];
  for (let i = 0; i < list.length; i++) {
    // A turn begins with the first: before it only little has been parsed.
    if (i % turnElements === turnElements - 1 && mainTurns.over) await mainTurns.next();
    const value = element.read(list[i]);
    if (value instanceof Fault) throw refuse(value.within(i), "body");
    out.push(value);
  }
  return out;
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

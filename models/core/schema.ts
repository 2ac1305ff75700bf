import { assert } from "./assert.ts";

/**
 * A small schema language: one declaration checks a parsed JSON value, gives its static type
 * (`Infer`) and its OpenAPI form. A check copies what it knows into fresh objects and never
 * throws: a refusal is a `Fault` value, cheap enough to make one for each of 10,000 bad events.
 */

export type JsonSchema = Readonly<Record<string, unknown>>;

export type FaultCode =
  | "REC_INPUT_TYPE"
  | "REC_INPUT_MISSING"
  | "REC_INPUT_UNKNOWN_FIELD"
  | "REC_INPUT_RANGE"
  | "REC_INPUT_LENGTH"
  | "REC_INPUT_VALUE"
  | "REC_INPUT_TEXT"
  | "REC_INPUT_TIME";

/** Why and where a value was refused. `path` is like `items[3].title`, empty for the whole. */
export class Fault {
  readonly code: FaultCode;
  readonly message: string;
  path = "";

  constructor(code: FaultCode, message: string) {
    this.code = code;
    this.message = message;
  }

  /** The same fault seen from one level further out. */
  within(key: string | number): Fault {
    const rest = this.path === "" || this.path.startsWith("[") ? this.path : `.${this.path}`;
    this.path = typeof key === "number" ? `[${key}]${rest}` : `${key}${rest}`;
    return this;
  }
}

export interface Schema<T> {
  /** A checked copy of `input`, or why not. */
  read(input: unknown): T | Fault;
  readonly openApi: JsonSchema;
  readonly optional?: boolean;
}

export interface OptionalSchema<T> extends Schema<T> {
  readonly optional: true;
}

export type Infer<S> = S extends Schema<infer T> ? T : never;

type Fields = Readonly<Record<string, Schema<unknown>>>;
type OptionalKeys<F> = {
  [K in keyof F]: F[K] extends OptionalSchema<unknown> ? K : never;
}[keyof F];

/** The static type of an object schema. */
export type ObjectOf<F> = {
  readonly [K in Exclude<keyof F, OptionalKeys<F>>]: Infer<F[K]>;
} & { readonly [K in OptionalKeys<F>]?: Infer<F[K]> };

export interface ObjectSchema<F> extends Schema<ObjectOf<F>> {
  readonly fields: F;
}

export function isRecord(input: unknown): input is Readonly<Record<string, unknown>> {
  return typeof input === "object" && input !== null && !Array.isArray(input);
}

/** What a value is, in the words of JSON. */
function typeName(input: unknown): string {
  if (input === null) return "null";
  if (Array.isArray(input)) return "an array";
  return typeof input === "object" ? "an object" : `a ${typeof input}`;
}

/** The fault of a value of the wrong JSON type. */
export function wrongType(wanted: string, input: unknown): Fault {
  return new Fault("REC_INPUT_TYPE", `must be ${wanted}, is ${typeName(input)}`);
}

/** A field name or key of the client's, short enough for a message. */
function shown(name: string): string {
  return (name.length > 64 ? `${name.slice(0, 64)}...` : name).toWellFormed();
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

export function integer(range: Range): Schema<number> {
  return {
    openApi: { type: "integer", minimum: range.min, maximum: range.max },
    read(input) {
      if (typeof input !== "number") return wrongType("an integer", input);
      if (input < range.min || input > range.max) return outside(range);
      return Number.isSafeInteger(input)
        ? input
        : new Fault("REC_INPUT_TYPE", "must be an integer, has a fraction");
    },
  };
}

/** A finite number; a literal such as 1e999 is refused. */
export function number(range: Range): Schema<number> {
  return {
    openApi: { type: "number", minimum: range.min, maximum: range.max },
    read(input) {
      if (typeof input !== "number") return wrongType("a number", input);
      return input >= range.min && input <= range.max ? input : outside(range);
    },
  };
}

function outside(range: Range): Fault {
  return new Fault("REC_INPUT_RANGE", `must be ${range.min} to ${range.max}`);
}

export function boolean(): Schema<boolean> {
  return {
    openApi: { type: "boolean" },
    read: (input) => (typeof input === "boolean" ? input : wrongType("true or false", input)),
  };
}

export function array<T>(
  element: Schema<T>,
  bounds: { min?: number; max: number },
): Schema<readonly T[]> {
  const min = bounds.min ?? 0;
  return {
    openApi: { type: "array", items: element.openApi, minItems: min, maxItems: bounds.max },
    read(input) {
      if (!Array.isArray(input)) return wrongType("an array", input);
      if (input.length < min || input.length > bounds.max) {
        return new Fault("REC_INPUT_LENGTH", `must have ${min} to ${bounds.max} elements`);
      }
      const out: T[] = [];
      for (let i = 0; i < input.length; i++) {
        const value = element.read(input[i]);
        if (value instanceof Fault) return value.within(i);
        out.push(value);
      }
      return out;
    },
  };
}

/** May be left out. A `null` is not a left-out value and is refused. */
export function optional<T>(inner: Schema<T>): OptionalSchema<T> {
  return { openApi: inner.openApi, optional: true, read: inner.read };
}

/** The first of the schemas that takes the value. */
export function union<A, B>(first: Schema<A>, second: Schema<B>): Schema<A | B> {
  return {
    openApi: { oneOf: [first.openApi, second.openApi] },
    read(input): A | B | Fault {
      const value = first.read(input);
      return value instanceof Fault ? second.read(input) : value;
    },
  };
}

const recordKey = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;

/** An object with free keys (letters, digits, `_.-`), bounded in number. */
export function record<T>(
  value: Schema<T>,
  bounds: { maxKeys: number },
): Schema<Readonly<Record<string, T>>> {
  return {
    openApi: {
      type: "object",
      additionalProperties: value.openApi,
      maxProperties: bounds.maxKeys,
    },
    read(input) {
      if (!isRecord(input)) return wrongType("an object", input);
      const keys = Object.keys(input);
      if (keys.length > bounds.maxKeys) {
        return new Fault("REC_INPUT_LENGTH", `must have at most ${bounds.maxKeys} keys`);
      }
      const out: Record<string, T> = Object.create(null);
      for (const key of keys) {
        if (!recordKey.test(key)) {
          return new Fault("REC_INPUT_UNKNOWN_FIELD", `must match ${recordKey}`).within(shown(key));
        }
        const read = value.read(input[key]);
        if (read instanceof Fault) return read.within(key);
        out[key] = read;
      }
      return out;
    },
  };
}

/** True for what `readFields` has filled: it puts in each field that is not optional. */
function isComplete<F extends Fields>(
  out: Readonly<Record<string, unknown>>,
  required: readonly (string & keyof F)[],
): out is ObjectOf<F> & Readonly<Record<string, unknown>> {
  return required.every((name) => out[name] !== undefined);
}

function readFields(
  fields: readonly (readonly [string, Schema<unknown>])[],
  input: Readonly<Record<string, unknown>>,
): Record<string, unknown> | Fault {
  const out: Record<string, unknown> = {};
  for (let i = 0; i < fields.length; i++) {
    const [name, schema] = fields[i]!;
    const raw = input[name];
    if (raw === undefined) {
      if (schema.optional) continue;
      return new Fault("REC_INPUT_MISSING", "is required").within(name);
    }
    const value = schema.read(raw);
    if (value instanceof Fault) return value.within(name);
    out[name] = value;
  }
  return out;
}

/** An object with exactly these fields; any other is refused with its path. */
export function object<const F extends Fields>(fields: F): ObjectSchema<F> {
  const entries = Object.entries(fields);
  const known = new Set(entries.map(([name]) => name));
  // A field called `constructor` would be found on the prototype of every input.
  for (const name of known) assert(!(name in Object.prototype), `field name ${name}`);
  const required = entries.filter(([, schema]) => !schema.optional).map(([name]) => name);
  return {
    fields,
    openApi: objectOpenApi(entries, required),
    read(input) {
      if (!isRecord(input)) return wrongType("an object", input);
      for (const key in input) {
        if (!known.has(key)) {
          return new Fault("REC_INPUT_UNKNOWN_FIELD", "is not known").within(shown(key));
        }
      }
      const out = readFields(entries, input);
      if (out instanceof Fault) return out;
      assert(isComplete<F>(out, required), "every required field was read");
      return out;
    },
  };
}

function objectOpenApi(
  entries: readonly (readonly [string, Schema<unknown>])[],
  required: readonly string[],
): JsonSchema {
  const properties = Object.fromEntries(entries.map(([name, schema]) => [name, schema.openApi]));
  const head = { type: "object", properties, additionalProperties: false };
  return required.length === 0 ? head : { ...head, required };
}

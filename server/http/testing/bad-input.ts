import { utf8 } from "../../../models/core/bytes.ts";

/** One kind of bad input: what is sent, and how it must be refused. */
export interface BadInput {
  readonly what: string;
  readonly call: BadCall;
  readonly answer: { readonly status: number; readonly code: string; readonly path: string };
}

export type BadCall = readonly [
  method: string,
  path: string,
  body?: string | Uint8Array | null,
  headers?: Readonly<Record<string, string>>,
];

export function bad(what: string, call: BadCall, answer: BadInput["answer"]): BadInput {
  return { what, call, answer };
}

/** The refusal with this code and path. */
export function no(code: string, path: string, status = 400): BadInput["answer"] {
  return { status, code, path };
}

/** A recommend whose body is `body`. */
export function ask(body: string | Uint8Array): BadCall {
  return ["POST", "/v1/recommend", body];
}

export function put(body: string): BadCall {
  return ["PUT", "/v1/items/x", body];
}

export function events(body: string | Uint8Array): BadCall {
  return ["POST", "/v1/events", body];
}

export function lines(body: string | Uint8Array): BadCall {
  return ["POST", "/v1/events", body, { "content-type": "application/x-ndjson" }];
}

/** One event with the fields of `fields` over a good one. */
export function event(fields: string): BadCall {
  return events(`[{"type":"click","user":"u","item":"i"${fields}}]`);
}

/** JSON text of an array of `length` times `of`. */
export function list(length: number, of = '"a"'): string {
  return `[${Array.from({ length }, () => of).join()}]`;
}

/** Fields `k0` .. of JSON text. */
export function keys(count: number): string {
  return Array.from({ length: count }, (_, i) => `"k${i}":1`).join();
}

/** Bytes of `before`, one byte that is no UTF-8, `after`. */
export function broken(before: string, after: string): Uint8Array {
  return Uint8Array.from([...utf8(before), 0xff, ...utf8(after)]);
}

import { messageOf, RecError } from "../../models/core/errors.ts";

/** Errors as clients see them: `{error:{code, message, path?}}` under the status of the code. */

const statusByCode: Readonly<Record<string, number>> = {
  REC_HTTP_AUTH: 401,
  REC_HTTP_HOST: 403,
  REC_HTTP_ORIGIN: 403,
  REC_HTTP_NOT_FOUND: 404,
  REC_ITEM_UNKNOWN: 404,
  REC_USER_UNKNOWN: 404,
  REC_MODEL_UNKNOWN: 404,
  REC_REQUEST_UNKNOWN: 404,
  REC_HTTP_METHOD: 405,
  REC_MODEL_CONFLICT: 409,
  REC_HTTP_BODY_SLOW: 408,
  REC_HTTP_BODY_TOO_LARGE: 413,
  REC_HTTP_CONTENT_TYPE: 415,
  REC_EVENTS_KEY_REUSED: 422,
  REC_HTTP_BUSY: 503,
  REC_HTTP_STOPPING: 503,
  REC_IDS_FULL: 503,
  REC_LOG_FULL: 503,
  REC_RANKING_LATE: 503,
  REC_LOG_FAILED: 503,
};

/** 400 for any fault of the input, 500 for what no client can mend. */
export function statusOf(code: string): number {
  const known = statusByCode[code];
  if (known !== undefined) return known;
  return code.startsWith("REC_INPUT_") || code.startsWith("REC_EVENT_") ? 400 : 500;
}

/** Every answer: no sniffing of types, no storing of what may be personal. */
export const answerHeaders: Readonly<Record<string, string>> = {
  "content-type": "application/json",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
};

export interface AnswerOptions {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer of JSON that is already text or bytes. */
export function jsonAnswer(body: string | Uint8Array, options: AnswerOptions = {}) {
  const headers =
    options.headers === undefined ? answerHeaders : { ...answerHeaders, ...options.headers };
  return new Response(body, { status: options.status ?? 200, headers: { ...headers } });
}

export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly path?: string;
}

/** The public part of anything that was thrown; the inside of a 500 stays in the log. */
export function publicError(thrown: unknown): { status: number; error: ErrorBody } {
  if (!(thrown instanceof RecError) || statusOf(thrown.code) === 500) {
    const code = thrown instanceof RecError ? thrown.code : "REC_INTERNAL";
    return { status: 500, error: { code, message: "the request failed inside the server" } };
  }
  const { code, message, path } = thrown;
  return {
    status: statusOf(code),
    error: path === undefined ? { code, message } : { code, message, path },
  };
}

/** Extra headers that a status asks for. */
function headersOf(thrown: unknown, status: number): Record<string, string> {
  const headers: Record<string, string> = {};
  if (status === 503) headers["retry-after"] = "1";
  if (status === 401) headers["www-authenticate"] = 'Basic realm="RecMaster"';
  // Its rest may never come.
  if (status === 408) headers.connection = "close";
  if (thrown instanceof MethodError) headers.allow = thrown.allow.join(", ");
  return headers;
}

export class MethodError extends RecError {
  readonly allow: readonly string[];

  constructor(method: string, allow: readonly string[]) {
    super("REC_HTTP_METHOD", `${method} is not allowed here`, { path: "method" });
    this.allow = allow;
  }
}

export function errorAnswer(thrown: unknown): Response {
  const { status, error } = publicError(thrown);
  return jsonAnswer(JSON.stringify({ error }), { status, headers: headersOf(thrown, status) });
}

/** For the log: all that is known of a failure inside. */
export function failureFields(thrown: unknown): Record<string, unknown> {
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  return {
    error: messageOf(thrown),
    ...(thrown instanceof RecError ? { code: thrown.code } : {}),
    ...(cause === undefined ? {} : { cause: messageOf(cause) }),
    ...(stack === undefined ? {} : { stack }),
  };
}

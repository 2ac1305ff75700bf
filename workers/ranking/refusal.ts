import { text } from "../../models/core/bytes.ts";
import { RecError } from "../../models/core/errors.ts";
import { isRecord } from "../../models/core/schema.ts";

/** The RecError that a thread refused a request with. */
export function refusalOf(bytes: Uint8Array): RecError {
  const value: unknown = JSON.parse(text(bytes));
  if (!isRecord(value)) return new RecError("REC_RANKING_REFUSED", "the request was refused");
  const { code, message, path } = value;
  return new RecError(String(code), String(message), typeof path === "string" ? { path } : {});
}

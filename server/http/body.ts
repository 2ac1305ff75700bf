import { RecError } from "../../models/core/errors.ts";
import { limits } from "../../models/limits.ts";

/** Reading of bodies: type and size are checked before a byte is read. */

const jsonTypes = new Set(["application/json"]);
const ndjsonTypes = new Set(["application/x-ndjson", "application/ndjson", "application/jsonl"]);

export type BodyKind = "json" | "ndjson";

function wrongType(message: string, path: string): RecError {
  return new RecError("REC_HTTP_CONTENT_TYPE", message, { path });
}

/** The kind of the body by its headers; throws REC_HTTP_CONTENT_TYPE. */
export function bodyKind(headers: Headers, allowed: readonly BodyKind[]): BodyKind {
  const encoding = headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity") {
    throw wrongType("content encodings are not taken", "header.content-encoding");
  }
  const [type = "", ...parameters] = (headers.get("content-type") ?? "").toLowerCase().split(";");
  const name = type.trim();
  const kind = jsonTypes.has(name) ? "json" : ndjsonTypes.has(name) ? "ndjson" : null;
  const foreign = parameters.some((parameter) => {
    const [key, value] = parameter.trim().split("=");
    return key === "charset" && value?.replaceAll('"', "") !== "utf-8";
  });
  if (kind !== null && allowed.includes(kind) && !foreign) return kind;
  const wanted = allowed.includes("ndjson") ? "JSON or NDJSON" : "application/json";
  throw wrongType(`the content type must be ${wanted} in UTF-8`, "header.content-type");
}

function tooLarge(bytesMax: number): RecError {
  const message = `the body must have at most ${bytesMax} bytes`;
  return new RecError("REC_HTTP_BODY_TOO_LARGE", message, { path: "body" });
}

/** The declared size, or `bytesMax` where there is none; throws when it is over the bound. */
export function declaredBytes(headers: Headers, bytesMax: number): number {
  const declared = headers.get("content-length");
  if (declared === null) return bytesMax;
  const bytes = Number(declared);
  if (!(bytes <= bytesMax)) throw tooLarge(bytesMax);
  return bytes;
}

/**
 * Whether the rest of a refused body may be skipped. The server does so by itself, and the
 * connection lives on; closing instead resets it, and a client that is still writing may then
 * never see why. Only what is endless, or as good as, is not worth it.
 */
export function isSkippable(headers: Headers): boolean {
  const declared = headers.get("content-length");
  return declared !== null && Number(declared) <= limits.skippedBodyBytesMax;
}

async function readStream(
  stream: ReadableStream<Uint8Array>,
  bytesMax: number,
): Promise<Uint8Array> {
  const reader = stream.getReader();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(parts);
    bytes += value.byteLength;
    if (bytes > bytesMax) {
      await reader.cancel();
      throw tooLarge(bytesMax);
    }
    parts.push(value);
  }
}

/** The whole body, at most `bytesMax` bytes. */
export async function readBody(request: Request, bytesMax: number): Promise<Uint8Array> {
  // With a declared length the server reads exactly that many: one buffer, no stream.
  if (request.headers.has("content-length")) return await request.bytes();
  return request.body === null ? new Uint8Array(0) : await readStream(request.body, bytesMax);
}

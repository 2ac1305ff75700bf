import { createHash, timingSafeEqual } from "node:crypto";
import { RecError } from "../../models/core/errors.ts";

/** Who may ask: names of this server in Host and Origin, and the token. */

export const loopbackNames: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

/** Is this bind address only reachable from this machine? */
export function isLoopback(address: string): boolean {
  return address === "localhost" || address === "::1" || /^127(\.\d{1,3}){3}$/.test(address);
}

export interface GateOptions {
  readonly token: string | null;
  /** Host names without port that requests may name; null: any. */
  readonly names: readonly string[] | null;
}

const hostShape = /^(\[[0-9a-f:.]+\]|[^:/@?#\s]+)(?::\d{1,5})?$/i;

/** The name in a Host header, lower case, without its port; null where it is malformed. */
function nameOf(host: string): string | null {
  return hostShape.exec(host)?.[1]?.toLowerCase() ?? null;
}

/** Checks of headers, made once at start. */
export class Gate {
  readonly #expected: Buffer | null;
  readonly #names: ReadonlySet<string> | null;

  constructor(options: GateOptions) {
    this.#expected = options.token === null ? null : digest(options.token);
    this.#names = options.names === null ? null : new Set(options.names);
  }

  /**
   * A page elsewhere must not reach this server through its reader's browser: neither under a
   * name that it lets point here (Host), nor by a request of its own (Origin).
   */
  checkOrigin(headers: Headers): void {
    const host = headers.get("host") ?? "";
    const name = nameOf(host);
    if (name === null || (this.#names !== null && !this.#names.has(name))) {
      throw new RecError("REC_HTTP_HOST", "this server does not answer to that name", {
        path: "header.host",
        fix: "add the name to HOST, after the address: HOST=127.0.0.1,name",
      });
    }
    const origin = headers.get("origin");
    if (origin === null || origin === `http://${host}` || origin === `https://${host}`) return;
    throw new RecError("REC_HTTP_ORIGIN", "requests of pages elsewhere are refused", {
      path: "header.origin",
    });
  }

  /** Bearer token, or the password of Basic (so that a browser can ask for it). */
  checkToken(headers: Headers): void {
    if (this.#expected === null) return;
    const given = tokenOf(headers.get("authorization") ?? "");
    // Both digests are equally long, so that time tells nothing of length or content.
    if (given !== null && timingSafeEqual(digest(given), this.#expected)) return;
    throw new RecError("REC_HTTP_AUTH", "a valid API token is needed", {
      path: "header.authorization",
    });
  }
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

function tokenOf(authorization: string): string | null {
  const [, scheme, credentials] = /^(Bearer|Basic) +(\S+)$/i.exec(authorization) ?? [];
  if (scheme === undefined || credentials === undefined) return null;
  if (scheme.toLowerCase() === "bearer") return credentials;
  const decoded = Buffer.from(credentials, "base64").toString("utf8");
  return decoded.slice(decoded.indexOf(":") + 1);
}

import { limits } from "../../../models/limits.ts";
import { badBatches } from "./bad-batches.ts";
import { ask, type BadInput, bad, event, no } from "./bad-input.ts";
import { badRecommends } from "./bad-recommends.ts";

const type = "header.content-type";

/** What no call may carry around its body. */
const badTransport: readonly BadInput[] = [
  bad(
    "no content type",
    ["POST", "/v1/recommend", "{}", { "content-type": "" }],
    no("REC_HTTP_CONTENT_TYPE", type, 415),
  ),
  bad(
    "a form",
    ["POST", "/v1/recommend", "{}", { "content-type": "text/plain" }],
    no("REC_HTTP_CONTENT_TYPE", type, 415),
  ),
  bad(
    "Latin-1",
    ["POST", "/v1/rank", "{}", { "content-type": "application/json;charset=l1" }],
    no("REC_HTTP_CONTENT_TYPE", type, 415),
  ),
  bad(
    "NDJSON to recommend",
    ["POST", "/v1/recommend", "{}", { "content-type": "text/x-ndjson" }],
    no("REC_HTTP_CONTENT_TYPE", type, 415),
  ),
  bad(
    "gzip",
    ["POST", "/v1/events", "[]", { "content-encoding": "gzip" }],
    no("REC_HTTP_CONTENT_TYPE", "header.content-encoding", 415),
  ),
  bad("a broken path", ["PUT", "/v1/items/%ff", "{}"], no("REC_INPUT_UTF8", "path")),
  bad("a NUL in the path", ["PUT", "/v1/items/%00", "{}"], no("REC_INPUT_TEXT", "path")),
  bad("negative n asked", ["GET", "/v1/popular?n=-1"], no("REC_INPUT_RANGE", "query.n")),
  bad("n=x", ["GET", "/v1/popular?n=x"], no("REC_INPUT_TYPE", "query.n")),
  bad("n twice", ["GET", "/v1/popular?n=1&n=2"], no("REC_INPUT_DUPLICATE_KEY", "query.n")),
  bad(
    "an unknown query",
    ["GET", "/v1/items/x/similar?m=1"],
    no("REC_INPUT_UNKNOWN_FIELD", "query.m"),
  ),
  bad("a query for none", ["GET", "/v1/items/x?a=1"], no("REC_INPUT_UNKNOWN_FIELD", "query")),
  bad("a version as word", ["POST", "/v1/models/last/promote"], no("REC_INPUT_TYPE", "path")),
  bad("no such path", ["GET", "/v1/nothing"], no("REC_HTTP_NOT_FOUND", "path", 404)),
  bad("a path below an id", ["GET", "/v1/items/a/b"], no("REC_HTTP_NOT_FOUND", "path", 404)),
  bad("no such document", ["GET", "/v1/items/x"], no("REC_ITEM_UNKNOWN", "path", 404)),
  bad("nothing to delete", ["DELETE", "/v1/users/x"], no("REC_USER_UNKNOWN", "path", 404)),
  bad("GET of a POST", ["GET", "/v1/recommend"], no("REC_HTTP_METHOD", "method", 405)),
  bad(
    "a foreign name",
    ["GET", "/v1/popular", null, { host: "evil.example" }],
    no("REC_HTTP_HOST", "header.host", 403),
  ),
  bad(
    "no name",
    ["GET", "/v1/popular", null, { host: "" }],
    no("REC_HTTP_HOST", "header.host", 403),
  ),
  bad(
    "a page elsewhere",
    ["POST", "/v1/events", "[]", { origin: "https://evil.example" }],
    no("REC_HTTP_ORIGIN", "header.origin", 403),
  ),
  bad(
    "a null origin",
    ["POST", "/v1/events", "[]", { origin: "null" }],
    no("REC_HTTP_ORIGIN", "header.origin", 403),
  ),
  bad(
    "a body of 9 MB by its length",
    ["POST", "/v1/events", "[]", { "content-length": "9000000" }],
    no("REC_HTTP_BODY_TOO_LARGE", "body", 413),
  ),
  bad(
    "a body of 9 MB",
    ["POST", "/v1/events", new Uint8Array(9_000_000).fill(0x20)],
    no("REC_HTTP_BODY_TOO_LARGE", "body", 413),
  ),
];

/** Every kind of bad input, for a server whose clock says about `nowMs`. */
export function badInputs(nowMs: number): readonly BadInput[] {
  // Half a minute more, so that it is too far ahead for all of a run.
  const futureMs = nowMs + limits.futureLeadMs + 30_000;
  return [
    ...badRecommends,
    ...badBatches,
    ...badTransport,
    bad(
      "a recent of the future",
      ask(`{"recent":[{"item":"i","type":"click","time":${futureMs}}]}`),
      no("REC_EVENT_FUTURE", "recent[0].time"),
    ),
    bad("an event of the future", event(`,"time":${futureMs}`), no("REC_EVENT_FUTURE", "[0].time")),
  ];
}

import { describe, expect, test } from "bun:test";
import { utf8 } from "../../models/core/bytes.ts";
import { ManualClock } from "../../models/core/clock.ts";
import { isRecord } from "../../models/core/schema.ts";
import { limits } from "../../models/limits.ts";
import { callOf, fakeDoor } from "./fake-ports.ts";

const nowMs = Date.UTC(2026, 0, 1);
const futureMs = nowMs + limits.futureLeadMs + 1;

interface Bad {
  readonly what: string;
  readonly call: readonly [string, string, (string | Uint8Array | null)?, Record<string, string>?];
  readonly answer: readonly [number, string, string];
}

function bad(what: string, call: Bad["call"], answer: Bad["answer"]): Bad {
  return { what, call, answer };
}

/** A recommend whose body is `body`. */
function ask(body: string | Uint8Array): Bad["call"] {
  return ["POST", "/v1/recommend", body];
}

function put(body: string): Bad["call"] {
  return ["PUT", "/v1/items/x", body];
}

/** One event with the fields of `fields` over a good one. */
function event(fields: string): Bad["call"] {
  return ["POST", "/v1/events", `[{"type":"click","user":"u","item":"i"${fields}}]`];
}

const list = (length: number, of = '"a"') => `[${Array.from({ length }, () => of).join()}]`;
const broken = Uint8Array.from([...utf8('{"user":"'), 0xff, ...utf8('"}')]);
const type = "header.content-type";

const table: readonly Bad[] = [
  bad("no JSON", ask("{"), [400, "REC_INPUT_JSON", "body"]),
  bad("nothing", ask(""), [400, "REC_INPUT_JSON", "body"]),
  bad("NaN", ask('{"n":NaN}'), [400, "REC_INPUT_JSON", "body"]),
  bad("null", ask("null"), [400, "REC_INPUT_TYPE", "body"]),
  bad("an array", ask("[]"), [400, "REC_INPUT_TYPE", "body"]),
  bad("a number", ask("7"), [400, "REC_INPUT_TYPE", "body"]),
  bad("a byte order mark", ask("\ufeff{}"), [400, "REC_INPUT_JSON", "body"]),
  bad("an unknown field", ask('{"usr":"u"}'), [400, "REC_INPUT_UNKNOWN_FIELD", "usr"]),
  bad("__proto__", ask('{"__proto__":{"n":1}}'), [400, "REC_INPUT_UNKNOWN_FIELD", "__proto__"]),
  bad("constructor", ask('{"constructor":{}}'), [400, "REC_INPUT_UNKNOWN_FIELD", "constructor"]),
  bad("__proto__ inside", ask('{"context":{"__proto__":1}}'), [
    ...([400, "REC_INPUT_UNKNOWN_FIELD", "context.__proto__"] as const),
  ]),
  bad("a repeated key", ask('{"n":1,"n":2}'), [400, "REC_INPUT_DUPLICATE_KEY", "n"]),
  bad("an escaped key", ask('{"\\u006e":2}'), [400, "REC_INPUT_UNKNOWN_FIELD", "\\u006e"]),
  bad("user as number", ask('{"user":1}'), [400, "REC_INPUT_TYPE", "user"]),
  bad("user as null", ask('{"user":null}'), [400, "REC_INPUT_TYPE", "user"]),
  bad("an empty user", ask('{"user":""}'), [400, "REC_INPUT_LENGTH", "user"]),
  bad("a long user", ask(`{"user":"${"u".repeat(257)}"}`), [400, "REC_INPUT_LENGTH", "user"]),
  bad("a control character", ask('{"user":"a\\u0000"}'), [400, "REC_INPUT_TEXT", "user"]),
  bad("a lone surrogate", ask('{"user":"\\ud800"}'), [400, "REC_INPUT_TEXT", "user"]),
  bad("invalid UTF-8", ask(broken), [400, "REC_INPUT_UTF8", "body"]),
  bad("negative n", ask('{"n":-1}'), [400, "REC_INPUT_RANGE", "n"]),
  bad("zero n", ask('{"n":0}'), [400, "REC_INPUT_RANGE", "n"]),
  bad("huge n", ask('{"n":1e999}'), [400, "REC_INPUT_RANGE", "n"]),
  bad("large n", ask('{"n":101}'), [400, "REC_INPUT_RANGE", "n"]),
  bad("half an n", ask('{"n":1.5}'), [400, "REC_INPUT_TYPE", "n"]),
  bad("n as text", ask('{"n":"5"}'), [400, "REC_INPUT_TYPE", "n"]),
  bad("details as number", ask('{"details":1}'), [400, "REC_INPUT_TYPE", "details"]),
  bad("a deadline of 0", ask('{"deadlineMs":0}'), [400, "REC_INPUT_RANGE", "deadlineMs"]),
  bad("a far deadline", ask('{"deadlineMs":99999}'), [400, "REC_INPUT_RANGE", "deadlineMs"]),
  bad("an unknown head", ask('{"weights":{"x":1}}'), [
    ...([400, "REC_INPUT_UNKNOWN_FIELD", "weights.x"] as const),
  ]),
  bad("an infinite weight", ask('{"weights":{"ctr":1e999}}'), [
    ...([400, "REC_INPUT_RANGE", "weights.ctr"] as const),
  ]),
  bad("too many excludes", ask(`{"exclude":${list(1_001)}}`), [
    ...([400, "REC_INPUT_LENGTH", "exclude"] as const),
  ]),
  bad("an object to exclude", ask('{"exclude":["a",{}]}'), [400, "REC_INPUT_TYPE", "exclude[1]"]),
  bad("too many recents", ask(`{"recent":${list(101, '{"item":"i","type":"click"}')}}`), [
    ...([400, "REC_INPUT_LENGTH", "recent"] as const),
  ]),
  bad("an unknown interaction", ask('{"recent":[{"item":"i","type":"x"}]}'), [
    ...([400, "REC_INPUT_VALUE", "recent[0].type"] as const),
  ]),
  bad(
    "a recent of the future",
    ask(`{"recent":[{"item":"i","type":"click","time":${futureMs}}]}`),
    [...([400, "REC_EVENT_FUTURE", "recent[0].time"] as const)],
  ),
  bad("many context keys", ask(`{"context":{${keys(33)}}}`), [400, "REC_INPUT_LENGTH", "context"]),
  bad("65 keys", ask(`{${keys(65)}}`), [400, "REC_INPUT_KEYS", "k63"]),
  bad(
    "200 k keys",
    ["POST", "/v1/events", list(200_001, '{"k":1}')],
    [...([400, "REC_INPUT_KEYS", "[200000]"] as const)],
  ),
  bad("depth 17", ask(`{"exclude":${"[".repeat(16)}${"]".repeat(16)}}`), [
    ...([400, "REC_INPUT_DEPTH", `exclude${"[0]".repeat(15)}`] as const),
  ]),
  bad("depth 20,000", ask("[".repeat(20_000)), [400, "REC_INPUT_DEPTH", "[0]".repeat(16)]),
  bad("a long string", ask(`{"user":"${"x".repeat(5_000)}"}`), [400, "REC_INPUT_LENGTH", "user"]),
  bad(
    "no content type",
    ["POST", "/v1/recommend", "{}", { "content-type": "" }],
    [...([415, "REC_HTTP_CONTENT_TYPE", type] as const)],
  ),
  bad(
    "a form",
    ["POST", "/v1/recommend", "{}", { "content-type": "text/plain" }],
    [...([415, "REC_HTTP_CONTENT_TYPE", type] as const)],
  ),
  bad(
    "Latin-1",
    ["POST", "/v1/rank", "{}", { "content-type": "application/json;charset=l1" }],
    [...([415, "REC_HTTP_CONTENT_TYPE", type] as const)],
  ),
  bad(
    "NDJSON to recommend",
    ["POST", "/v1/recommend", "{}", { "content-type": "text/x-ndjson" }],
    [...([415, "REC_HTTP_CONTENT_TYPE", type] as const)],
  ),
  bad(
    "gzip",
    ["POST", "/v1/events", "[]", { "content-encoding": "gzip" }],
    [...([415, "REC_HTTP_CONTENT_TYPE", "header.content-encoding"] as const)],
  ),
  bad("rank nothing", ["POST", "/v1/rank", '{"items":[]}'], [400, "REC_INPUT_LENGTH", "items"]),
  bad("rank without items", ["POST", "/v1/rank", "{}"], [400, "REC_INPUT_MISSING", "items"]),
  bad(
    "rank an item twice",
    ["POST", "/v1/rank", '{"items":["a","b","a"]}'],
    [...([400, "REC_INPUT_VALUE", "items[2]"] as const)],
  ),
  bad(
    "rank too many",
    ["POST", "/v1/rank", `{"items":${list(1_001)}}`],
    [...([400, "REC_INPUT_LENGTH", "items"] as const)],
  ),
  bad("events as object", ["POST", "/v1/events", "{}"], [400, "REC_INPUT_TYPE", "body"]),
  bad(
    "too many events",
    ["POST", "/v1/events", list(10_001, "0")],
    [...([400, "REC_INPUT_LENGTH", "body"] as const)],
  ),
  bad("an event of the future", event(`,"time":${futureMs}`), [
    ...([400, "REC_EVENT_FUTURE", "[0].time"] as const),
  ]),
  bad("seconds for ms", event(',"time":1700000000'), [400, "REC_INPUT_TIME", "[0].time"]),
  bad("30 February", event(',"time":"2024-02-30T00:00:00Z"'), [400, "REC_INPUT_TIME", "[0].time"]),
  bad("a click with a value", event(',"value":1'), [400, "REC_EVENT_VALUE", "[0].value"]),
  bad("an infinite value", event(',"value":1e999'), [400, "REC_INPUT_RANGE", "[0].value"]),
  bad("an unknown event field", event(',"x":1'), [400, "REC_INPUT_UNKNOWN_FIELD", "[0].x"]),
  bad(
    "an unknown event type",
    ["POST", "/v1/events", '[{"type":"a","user":"u","item":"i"}]'],
    [...([400, "REC_INPUT_VALUE", "[0].type"] as const)],
  ),
  bad("a null event", ["POST", "/v1/events", "[null]"], [400, "REC_INPUT_TYPE", "[0]"]),
  bad(
    "a bad line",
    ["POST", "/v1/events", '{"a\n', { "content-type": "application/x-ndjson" }],
    [...([400, "REC_INPUT_JSON", "[0]"] as const)],
  ),
  bad(
    "a bad key",
    ["POST", "/v1/events", "[]", { "idempotency-key": "a".repeat(257) }],
    [...([400, "REC_INPUT_LENGTH", "header.idempotency-key"] as const)],
  ),
  bad("a title as list", put('{"title":[]}'), [400, "REC_INPUT_TYPE", "title"]),
  bad("65 categories", put(`{"categories":${list(65)}}`), [400, "REC_INPUT_LENGTH", "categories"]),
  bad("an endless duration", put('{"durationSeconds":1e999}'), [
    ...([400, "REC_INPUT_RANGE", "durationSeconds"] as const),
  ]),
  bad("text in an embedding", put('{"embedding":[1,"2"]}'), [
    ...([400, "REC_INPUT_TYPE", "embedding[1]"] as const),
  ]),
  bad("an id in the body", put('{"id":"x"}'), [400, "REC_INPUT_UNKNOWN_FIELD", "id"]),
  bad(
    "a batch without id",
    ["POST", "/v1/items", '[{"id":"a"},{"title":"b"}]'],
    [...([400, "REC_INPUT_MISSING", "[1].id"] as const)],
  ),
  bad(
    "a long id in the path",
    ["PUT", `/v1/items/${"a".repeat(257)}`, "{}"],
    [...([400, "REC_INPUT_LENGTH", "path"] as const)],
  ),
  bad("a broken path", ["PUT", "/v1/items/%ff", "{}"], [400, "REC_INPUT_UTF8", "path"]),
  bad("a NUL in the path", ["PUT", "/v1/items/%00", "{}"], [400, "REC_INPUT_TEXT", "path"]),
  bad("negative n asked", ["GET", "/v1/popular?n=-1"], [400, "REC_INPUT_RANGE", "query.n"]),
  bad("n=x", ["GET", "/v1/popular?n=x"], [400, "REC_INPUT_TYPE", "query.n"]),
  bad("n twice", ["GET", "/v1/popular?n=1&n=2"], [400, "REC_INPUT_DUPLICATE_KEY", "query.n"]),
  bad(
    "an unknown query",
    ["GET", "/v1/items/x/similar?m=1"],
    [...([400, "REC_INPUT_UNKNOWN_FIELD", "query.m"] as const)],
  ),
  bad("a query for none", ["GET", "/v1/items/x?a=1"], [400, "REC_INPUT_UNKNOWN_FIELD", "query"]),
  bad("a version as word", ["POST", "/v1/models/last/promote"], [400, "REC_INPUT_TYPE", "path"]),
  bad("no such path", ["GET", "/v1/nothing"], [404, "REC_HTTP_NOT_FOUND", "path"]),
  bad("a path below an id", ["GET", "/v1/items/a/b"], [404, "REC_HTTP_NOT_FOUND", "path"]),
  bad("no such document", ["GET", "/v1/items/x"], [404, "REC_ITEM_UNKNOWN", "path"]),
  bad("nothing to delete", ["DELETE", "/v1/users/x"], [404, "REC_USER_UNKNOWN", "path"]),
  bad("GET of a POST", ["GET", "/v1/recommend"], [405, "REC_HTTP_METHOD", "method"]),
  bad(
    "a foreign name",
    ["GET", "/v1/popular", null, { host: "evil.example" }],
    [...([403, "REC_HTTP_HOST", "header.host"] as const)],
  ),
  bad("no name", ["GET", "/v1/popular", null, { host: "" }], [403, "REC_HTTP_HOST", "header.host"]),
  bad(
    "a page elsewhere",
    ["POST", "/v1/events", "[]", { origin: "https://evil.example" }],
    [...([403, "REC_HTTP_ORIGIN", "header.origin"] as const)],
  ),
  bad(
    "a null origin",
    ["POST", "/v1/events", "[]", { origin: "null" }],
    [...([403, "REC_HTTP_ORIGIN", "header.origin"] as const)],
  ),
  bad(
    "a body of 9 MB by its length",
    ["POST", "/v1/events", "[]", { "content-length": "9000000" }],
    [...([413, "REC_HTTP_BODY_TOO_LARGE", "body"] as const)],
  ),
  bad(
    "a body of 9 MB",
    ["POST", "/v1/events", new Uint8Array(9_000_000).fill(0x20)],
    [...([413, "REC_HTTP_BODY_TOO_LARGE", "body"] as const)],
  ),
];

function keys(count: number): string {
  return Array.from({ length: count }, (_, i) => `"k${i}":1`).join();
}

describe("bad input", () => {
  test("the table is long enough", () => {
    expect(table.length).toBeGreaterThanOrEqual(40);
  });

  test.each(table.map((row) => [row.what, row] as const))("%s", async (_what, { call, answer }) => {
    const { app, touched, metrics } = fakeDoor({ clock: new ManualClock(nowMs) });
    const before = touched();
    const response = await app.fetch(callOf(...call));
    const body: unknown = await response.json();
    const error: unknown = isRecord(body) ? body.error : null;
    if (!isRecord(error)) throw new Error(`no error in ${JSON.stringify(body)}`);
    expect([response.status, error.code, error.path]).toEqual([...answer]);
    expect(String(error.message).length).toBeGreaterThan(5);
    expect(touched()).toEqual(before);
    expect(metrics.counts.has("rec_http_server_errors_total")).toBe(false);
  });
});

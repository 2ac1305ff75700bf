import {
  type BadInput,
  bad,
  broken,
  event,
  events,
  keys,
  lines,
  list,
  no,
  put,
} from "./bad-input.ts";

const badEvent = '{"type":"a","user":"u","item":"i"}';
const longFields = ["id", "requestId", "value"].map((name) => `"${name}":"${"x".repeat(250)}"`);
const longEvent = `{"type":"a","user":"u","item":"i",${longFields.join()}}`;
const items = Array.from({ length: 4_999 }, (_, i) => `{"id":"i${i}"}`);
const lastBad = `[${items.join()},{"id":"x","x":1}]`;

/** What the calls with lists and documents must refuse. */
export const badBatches: readonly BadInput[] = [
  bad("rank nothing", ["POST", "/v1/rank", '{"items":[]}'], no("REC_INPUT_LENGTH", "items")),
  bad("rank without items", ["POST", "/v1/rank", "{}"], no("REC_INPUT_MISSING", "items")),
  bad(
    "rank an item twice",
    ["POST", "/v1/rank", '{"items":["a","b","a"]}'],
    no("REC_INPUT_VALUE", "items[2]"),
  ),
  bad(
    "rank too many",
    ["POST", "/v1/rank", `{"items":${list(1_001)}}`],
    no("REC_INPUT_LENGTH", "items"),
  ),
  bad("events as object", ["POST", "/v1/events", "{}"], no("REC_INPUT_TYPE", "body")),
  bad("too many events", ["POST", "/v1/events", list(10_001, "0")], no("REC_INPUT_LENGTH", "body")),
  bad("seconds for ms", event(',"time":1700000000'), no("REC_INPUT_TIME", "[0].time")),
  bad("30 February", event(',"time":"2024-02-30T00:00:00Z"'), no("REC_INPUT_TIME", "[0].time")),
  bad("a click with a value", event(',"value":1'), no("REC_EVENT_VALUE", "[0].value")),
  bad("an infinite value", event(',"value":1e999'), no("REC_INPUT_RANGE", "[0].value")),
  bad("an unknown event field", event(',"x":1'), no("REC_INPUT_UNKNOWN_FIELD", "[0].x")),
  bad(
    "an unknown event type",
    ["POST", "/v1/events", '[{"type":"a","user":"u","item":"i"}]'],
    no("REC_INPUT_VALUE", "[0].type"),
  ),
  bad("a null event", ["POST", "/v1/events", "[null]"], no("REC_INPUT_TYPE", "[0]")),
  bad(
    "a bad line",
    ["POST", "/v1/events", '{"a\n', { "content-type": "application/x-ndjson" }],
    no("REC_INPUT_JSON", "[0]"),
  ),
  bad(
    "a bad key",
    ["POST", "/v1/events", "[]", { "idempotency-key": "a".repeat(257) }],
    no("REC_INPUT_LENGTH", "header.idempotency-key"),
  ),
  bad("a title as list", put('{"title":[]}'), no("REC_INPUT_TYPE", "title")),
  bad("65 categories", put(`{"categories":${list(65)}}`), no("REC_INPUT_LENGTH", "categories")),
  bad(
    "an endless duration",
    put('{"durationSeconds":1e999}'),
    no("REC_INPUT_RANGE", "durationSeconds"),
  ),
  bad("text in an embedding", put('{"embedding":[1,"2"]}'), no("REC_INPUT_TYPE", "embedding[1]")),
  bad("an id in the body", put('{"id":"x"}'), no("REC_INPUT_UNKNOWN_FIELD", "id")),
  bad(
    "a batch without id",
    ["POST", "/v1/items", '[{"id":"a"},{"title":"b"}]'],
    no("REC_INPUT_MISSING", "[1].id"),
  ),
  bad(
    "a long id in the path",
    ["PUT", `/v1/items/${"a".repeat(257)}`, "{}"],
    no("REC_INPUT_LENGTH", "path"),
  ),
  bad(
    "200 k keys",
    ["POST", "/v1/events", list(200_001, '{"k":1}')],
    no("REC_INPUT_KEYS", "[200000]"),
  ),
  bad("a fault in the middle of UTF-8", events(broken("[1,", ",2]")), no("REC_INPUT_UTF8", "body")),
  bad("a comma too much", events("[1,]"), no("REC_INPUT_JSON", "body")),
  bad("a comma too early", events("[,1]"), no("REC_INPUT_JSON", "body")),
  bad("an array within none", events("[1],[2]"), no("REC_INPUT_JSON", "body")),
  bad("an array that stays open", events("[1"), no("REC_INPUT_JSON", "body")),
  bad("a brace for a bracket", events("[1}"), no("REC_INPUT_JSON", "body")),
  bad("10,000 bad events", events(list(10_000, badEvent)), no("REC_INPUT_VALUE", "[0].type")),
  bad("8 MB of bad events", events(list(10_000, longEvent)), no("REC_INPUT_VALUE", "[0].type")),
  bad("8 MB of spaces", events(" ".repeat(8 << 20)), no("REC_INPUT_JSON", "body")),
  bad("8 MB in a string", events(`["${"x".repeat(8_000_000)}"]`), no("REC_INPUT_LENGTH", "[0]")),
  bad("700 k elements", events(`[${list(700_000, "0")}]`), no("REC_INPUT_LENGTH", "[0][640000]")),
  bad("10,000 bad lines", lines('{"a\n'.repeat(10_000)), no("REC_INPUT_JSON", "[0]")),
  bad("too many lines", lines("{}\n".repeat(10_001)), no("REC_INPUT_LENGTH", "body")),
  bad(
    "200 k keys in lines",
    lines(`{${keys(64)}}\n`.repeat(3_126)),
    no("REC_INPUT_UNKNOWN_FIELD", "[0].k0"),
  ),
  bad("a line of depth 20,000", lines("[".repeat(20_000)), no("REC_INPUT_DEPTH", "[0]")),
  bad("a line of invalid UTF-8", lines(broken('{"user":"', '"}')), no("REC_INPUT_UTF8", "[0]")),
  bad("a line that is no event", lines("7\n"), no("REC_INPUT_TYPE", "[0]")),
  bad(
    "a long embedding",
    put(`{"embedding":${list(1_025, "1")}}`),
    no("REC_INPUT_LENGTH", "embedding"),
  ),
  bad(
    "5,000 items, the last one bad",
    ["POST", "/v1/items", lastBad],
    no("REC_INPUT_UNKNOWN_FIELD", "[4999].x"),
  ),
];

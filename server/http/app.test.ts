import { afterAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { ManualClock } from "../../models/core/clock.ts";
import { RecError } from "../../models/core/errors.ts";
import { limits } from "../../models/limits.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { callOf, fakeDoor } from "./fake-ports.ts";
import { serve } from "./serve.ts";

const nowMs = Date.UTC(2026, 0, 1);
const clock = new ManualClock(nowMs);

describe("routes", () => {
  test("recommend hands over a checked request and a deadline", async () => {
    const { app, asked } = fakeDoor({ clock });
    const recent = [
      { item: "b", type: "like" },
      { item: "a", type: "click", time: nowMs - 5 },
    ];
    const body = { user: "u", recent, n: 5, weights: { ctr: 2 }, context: { page: 1 } };
    const answer = await app.fetch(callOf("POST", "/v1/recommend", JSON.stringify(body)));
    expect([answer.status, await answer.text()]).toEqual([200, '{"items":[]}']);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(asked).toMatchObject([
      {
        request: {
          ...{ user: "u", n: 5, weights: { ctr: 2 }, exclude: [], categories: [] },
          recent: [
            { item: "a", type: 1, timeMs: nowMs - 5 },
            { item: "b", type: 2, timeMs: nowMs },
          ],
          details: false,
        },
        deadlineAtMs: nowMs + limits.deadlineMsDefault,
      },
    ]);
  });

  test("an empty recommend gets the defaults; deadlineMs is kept", async () => {
    const { app, asked } = fakeDoor({ clock });
    await app.fetch(callOf("POST", "/v1/recommend", '{"deadlineMs":7}'));
    const request = { user: null, recent: [], n: 20, weights: null };
    expect(asked).toMatchObject([{ request, deadlineAtMs: nowMs + 7 }]);
  });

  test("rank, similar and popular reach their ports", async () => {
    const { app, asked } = fakeDoor({ clock });
    await app.fetch(callOf("POST", "/v1/rank", '{"user":"u","items":["a","b"]}'));
    await app.fetch(callOf("GET", "/v1/items/a%2Fb%20%C3%A9/similar?n=3&details=true"));
    await app.fetch(callOf("GET", "/v1/popular?category=war"));
    expect(asked).toMatchObject([
      { request: { user: "u", items: ["a", "b"] } },
      { request: { item: "a/b é", n: 3, details: true } },
      { request: { category: "war", n: 20, details: false } },
    ]);
  });

  test("documents are put, got, batched and deleted", async () => {
    const { app } = fakeDoor({ clock });
    const document = '{"title":"T","publishedAt":"2024-01-01T02:00:00+02:00"}';
    const stored = '{"id":"x/y","title":"T","publishedAt":"2024-01-01T00:00:00.000Z"}';
    const put = await app.fetch(callOf("PUT", "/v1/items/x%2Fy", document));
    expect([put.status, await put.text()]).toEqual([200, stored]);
    const got = await app.fetch(callOf("GET", "/v1/items/x%2Fy"));
    expect(await got.text()).toBe(stored);
    const users = '[{"id":"u"},{"id":"v","country":"de"}]';
    const batch = await app.fetch(callOf("POST", "/v1/users", users));
    expect(await batch.json()).toEqual({ stored: 2 });
    expect(await (await app.fetch(callOf("GET", "/v1/users/u"))).text()).toBe('{"id":"u"}');
    expect((await app.fetch(callOf("DELETE", "/v1/items/x%2Fy"))).status).toBe(204);
    expect((await app.fetch(callOf("GET", "/v1/items/x%2Fy"))).status).toBe(404);
  });

  test("operations answer; a 405 says what is allowed", async () => {
    const { app, asked } = fakeDoor({ clock });
    expect((await app.fetch(callOf("GET", "/healthz"))).status).toBe(200);
    const ready = await app.fetch(callOf("GET", "/readyz"));
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { ready: false, waitingFor: ["a model"] },
    ]);
    const metrics = await app.fetch(callOf("GET", "/metrics"));
    expect(metrics.headers.get("content-type")).toContain("version=0.0.4");
    expect(await (await app.fetch(callOf("GET", "/v1/status"))).json()).toEqual({
      requestsTotal: 1,
    });
    const page = await app.fetch(callOf("GET", "/"));
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(await page.text()).not.toMatch(/(src|href)="?(https?:)?\/\//);
    await app.fetch(callOf("POST", "/v1/models/7/promote"));
    await app.fetch(callOf("POST", "/v1/models/rollback"));
    await app.fetch(callOf("GET", "/v1/models"));
    expect(asked).toEqual([7, "rollback", "list"]);
    const refused = await app.fetch(callOf("POST", "/v1/items/x", "{}"));
    expect([refused.status, refused.headers.get("allow")]).toEqual([405, "PUT, GET, DELETE"]);
  });

  test("OpenAPI names every route and what its schema checks", async () => {
    const { app } = fakeDoor({ clock });
    const document = JSON.parse(await (await app.fetch(callOf("GET", "/openapi.json"))).text());
    expect(Object.keys(document.paths)).toContain("/v1/items/{id}/similar");
    const { requestBody } = document.paths["/v1/recommend"].post;
    const { schema } = requestBody.content["application/json"];
    expect(schema.properties.n).toEqual({ type: "integer", minimum: 1, maximum: 100 });
    expect(document.paths["/v1/popular"].get.parameters).toHaveLength(3);
    expect(document.paths["/v1/events"].post.requestBody.content).toHaveProperty([
      "application/x-ndjson",
    ]);
  });

  test("what fails inside is a 500 without its inside", async () => {
    const work = () => Promise.reject(new Error("secret detail"));
    const { app, metrics } = fakeDoor({ clock, work });
    const answer = await app.fetch(callOf("POST", "/v1/recommend", "{}"));
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("secret");
    expect(metrics.counts.get("rec_http_server_errors_total")).toBe(1);
  });

  test("the codes of the ports get their status", async () => {
    const work = () =>
      Promise.reject(new RecError("REC_ITEM_UNKNOWN", "not known", { path: "id" }));
    const { app } = fakeDoor({ clock, work });
    expect((await app.fetch(callOf("GET", "/v1/items/x/similar"))).status).toBe(404);
  });
});

describe("token", () => {
  const token = "0123456789abcdef";
  const status = async (path: string, authorization?: string) => {
    const { app } = fakeDoor({ clock, token });
    const headers = authorization === undefined ? {} : { authorization };
    return (await app.fetch(callOf("GET", path, null, headers))).status;
  };

  test("every route but health needs it", async () => {
    for (const path of ["/", "/metrics", "/v1/popular", "/openapi.json", "/nothing"]) {
      expect(await status(path)).toBe(401);
    }
    expect(await status("/healthz")).toBe(200);
    expect(await status("/readyz")).toBe(503);
  });

  test("as bearer, or as the password of a browser", async () => {
    expect(await status("/metrics", `Bearer ${token}`)).toBe(200);
    expect(await status("/metrics", `Basic ${btoa(`any:${token}`)}`)).toBe(200);
    for (const wrong of ["Bearer x", "Bearer ", token, `Bearer ${token}x`, "Basic !!!!"]) {
      expect(await status("/metrics", wrong)).toBe(401);
    }
  });

  test("beyond loopback the server refuses to listen without one", () => {
    const { app } = fakeDoor({ clock });
    expect(() => serve({ app, host: "0.0.0.0", port: 0, hasToken: false })).toThrow("API token");
  });
});

describe("events", () => {
  const click = '{"type":"click","user":"u","item":"i"}';
  const send = (door: ReturnType<typeof fakeDoor>, body: string, headers = {}) =>
    door.app.fetch(callOf("POST", "/v1/events", body, headers));

  test("200 for any taken or known, or nothing sent; NDJSON likewise", async () => {
    const door = fakeDoor({ clock });
    expect(await (await send(door, "[]")).json()).toEqual({
      ...{ accepted: 0, duplicates: 0, rejected: [] },
    });
    const lines = `${click}\n{"type":"x"}\n\n${click}\n`;
    const answer = await send(door, lines, { "content-type": "application/x-ndjson" });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      ...{ accepted: 2, duplicates: 0 },
      rejected: [{ index: 1, code: "REC_INPUT_VALUE", path: "type" }],
    });
    expect(door.touched().records).toBe(2);
  });

  test("a repeated Idempotency-Key gets the first answer, another body is refused", async () => {
    const door = fakeDoor({ clock });
    const key = { "idempotency-key": "k" };
    const both = await Promise.all([send(door, `[${click}]`, key), send(door, `[${click}]`, key)]);
    const answers = await Promise.all(both.map((answer) => answer.json()));
    expect(answers).toEqual([answers[0], answers[0]]);
    expect(answers[0]).toMatchObject({ accepted: 1 });
    expect(door.touched().records).toBe(1);
    expect((await send(door, "[]", key)).status).toBe(422);
  });

  test("after a failed write the same key may try again", async () => {
    const door = fakeDoor({ clock });
    const key = { "idempotency-key": "k" };
    door.log.failNext = new RecError("REC_LOG_FULL", "full");
    const failed = await send(door, `[${click}]`, key);
    expect([failed.status, failed.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await (await send(door, `[${click}]`, key)).json()).toMatchObject({ accepted: 1 });
  });
});

describe("admission at the door", () => {
  test("a full server refuses before the body, and takes again afterwards", async () => {
    const gate = Promise.withResolvers<void>();
    const rankAdmission = { inFlightMax: 2 };
    const door = fakeDoor({ clock, rankAdmission, work: () => gate.promise });
    const ask = (body = "{}") => door.app.fetch(callOf("POST", "/v1/recommend", body));
    const held = [ask(), ask()];
    await Bun.sleep(1);
    const refused = await ask("not even JSON");
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await refused.json()).toMatchObject({ error: { code: "REC_HTTP_BUSY" } });
    expect((await door.app.fetch(callOf("POST", "/v1/events", "[]"))).status).toBe(200);
    gate.resolve();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200]);
    expect((await ask()).status).toBe(200);
    expect(door.metrics.counts.get('rec_http_refused_total{reason="busy"}')).toBe(1);
  });
});

describe("on a socket", () => {
  const door = fakeDoor({ clock: systemClock, work: () => Bun.sleep(150) });
  const server = serve({ app: door.app, host: "127.0.0.1", port: 0, hasToken: false });
  const json = { "content-type": "application/json" };
  const get = "GET /v1/popular HTTP/1.1\r\nHost: localhost\r\n\r\n";
  afterAll(() => server.stop({ quietMs: 0 }));

  test("64 MB are refused by their length, and chunk by chunk", async () => {
    const before = door.touched();
    const url = `${server.url}/v1/events`;
    const body = new Uint8Array(64 << 20).fill(0x20);
    const whole = await fetch(url, { method: "POST", headers: json, body });
    expect([whole.status, JSON.parse(await whole.text()).error.path]).toEqual([413, "body"]);
    const chunk = body.subarray(0, 1 << 20);
    const stream = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 16; i++) controller.enqueue(chunk);
        controller.close();
      },
    });
    const chunked = await fetch(url, { method: "POST", headers: json, body: stream });
    expect([chunked.status, JSON.parse(await chunked.text()).error.path]).toEqual([413, "body"]);
    expect(door.touched()).toEqual(before);
  });

  test("after a refusal the same connection still works", async () => {
    const answers = await converse(server.port, [
      "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n" +
        "Content-Length: 5\r\n\r\nhello",
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ]);
    expect(answers.match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 415", "HTTP/1.1 200"]);
  });

  test("a stop answers what is under way and what open connections still send", async () => {
    const one = fakeDoor({ clock: systemClock, work: () => Bun.sleep(300) });
    const stopping = serve({ app: one.app, host: "127.0.0.1", port: 0, hasToken: false });
    const ask =
      "POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
      "Content-Length: 2\r\n\r\n{}";
    const idle = converse(stopping.port, ["GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", ask]);
    const busy = converse(stopping.port, [ask]);
    // Until both rank: a connection that was answered with `close` may not send another request.
    while (one.asked.length < 2) await Bun.sleep(1);
    const stopped = stopping.stop({ quietMs: 200 });
    expect(await stopped).toBe(true);
    expect((await busy).match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 200"]);
    expect((await idle).match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200"]);
    await expect(fetch(`${stopping.url}/healthz`)).rejects.toThrow();
  });

  test("a stop waits until a slow reader has the whole answer", async () => {
    const bytes = 8 << 20;
    const large = fakeDoor({ clock: systemClock, answer: "x".repeat(bytes) });
    const stopping = serve({ app: large.app, host: "127.0.0.1", port: 0, hasToken: false });
    const socket = connect(stopping.port, "127.0.0.1");
    socket.write(get);
    socket.pause();
    while (large.app.lastSeenMs === 0 || large.app.inFlight > 0) await Bun.sleep(1);
    const stopped = stopping.stop({ quietMs: 0 });
    await Bun.sleep(100);
    let received = 0;
    socket.on("data", (data) => {
      received += data.length;
    });
    socket.resume();
    expect(await stopped).toBe(true);
    if (!socket.closed) await new Promise((resolve) => socket.on("close", resolve));
    expect(received).toBeGreaterThan(bytes);
  });

  test("a refused body is skipped, and the connection goes on", async () => {
    const post =
      "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
      `Content-Length: 9000000\r\n\r\n${" ".repeat(9_000_000)}`;
    const end = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const answers = await converse(server.port, [post, end]);
    expect(answers.match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 413", "HTTP/1.1 200"]);
  });

  test("a body that drips is refused in time, and too many before they are read", async () => {
    const bodies = { withinMs: 100, readingMax: 2 };
    const one = fakeDoor({ clock: systemClock, bodies });
    const slow = serve({ app: one.app, host: "127.0.0.1", port: 0, hasToken: false });
    const drip =
      "POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
      "Content-Length: 9\r\n\r\n{";
    const dripping = [converse(slow.port, [drip]), converse(slow.port, [drip])];
    while (one.app.inFlight < 2) await Bun.sleep(1);
    const refused = await fetch(`${slow.url}/v1/recommend`, {
      ...{ method: "POST", headers: json, body: "{}" },
    });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    for (const answer of await Promise.all(dripping)) {
      expect(answer).toStartWith("HTTP/1.1 408");
      expect(answer).toContain('"code":"REC_HTTP_BODY_SLOW"');
    }
    const { counts } = one.metrics;
    expect(counts.get('rec_limit_reached_total{limit="bodiesReadingMax"}')).toBe(1);
    expect(counts.get('rec_limit_reached_total{limit="bodyMsMax"}')).toBe(2);
    const after = await fetch(`${slow.url}/v1/recommend`, {
      ...{ method: "POST", headers: json, body: "{}" },
    });
    expect(after.status).toBe(200);
    await slow.stop({ quietMs: 0 });
  });

  test("ranking that never answers is given up on after its deadline", async () => {
    const one = fakeDoor({ clock: systemClock, work: () => Promise.withResolvers<void>().promise });
    const answer = await one.app.fetch(callOf("POST", "/v1/recommend", '{"deadlineMs":1}'));
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await answer.json()).toMatchObject({ error: { code: "REC_RANKING_LATE" } });
    expect(one.app.inFlight).toBe(0);
  });

  test("a stop gives up on what never ends", async () => {
    const one = fakeDoor({ clock: systemClock, work: () => Promise.withResolvers<void>().promise });
    const stopping = serve({ app: one.app, host: "127.0.0.1", port: 0, hasToken: false });
    const headers = json;
    const hung = fetch(`${stopping.url}/v1/recommend`, { method: "POST", headers, body: "{}" });
    hung.catch(() => undefined);
    while (one.app.inFlight === 0) await Bun.sleep(1);
    expect(await stopping.stop({ graceMs: 50, quietMs: 0 })).toBe(false);
  });
});

/** Sends each message after the answer to the one before; resolves with all that came back. */
function converse(port: number, messages: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const waiting = [...messages];
    let received = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(waiting.shift() ?? ""));
    socket.on("data", (data) => {
      received += data.toString();
      const next = waiting.shift();
      if (next !== undefined) socket.write(next);
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(received));
  });
}

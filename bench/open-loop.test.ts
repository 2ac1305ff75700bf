import { describe, expect, test } from "bun:test";
import { closedLoop, httpRequest, LoadClient, openLoop } from "./open-loop.ts";

function serve(handler: (request: Request) => Response | Promise<Response>) {
  return Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: handler });
}

describe("the load client", () => {
  test("bodies and statuses arrive whole, whatever their size", async () => {
    const server = serve(async (request) => {
      const { size } = JSON.parse(await request.text());
      return new Response("x".repeat(size), { status: size === 7 ? 503 : 200 });
    });
    const client = new LoadClient({ port: server.port ?? 0, keepBodies: true });
    await client.open(3);
    const sizes = [0, 1, 7, 100_000, 3_000_000, 5];
    const answers = await Promise.all(
      sizes.map((size) => client.request(httpRequest("POST", "/", { size }))),
    );
    expect(answers.map(({ body }) => body?.length)).toEqual(sizes);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 503, 200, 200, 200]);
    client.close();
    await server.stop(true);
  });

  test("a large request is sent whole", async () => {
    const server = serve(async (request) => Response.json((await request.text()).length));
    const client = new LoadClient({ port: server.port ?? 0, keepBodies: true });
    await client.open(1);
    const text = "y".repeat(4_000_000);
    const { body } = await client.request(httpRequest("POST", "/", text));
    expect(Number(new TextDecoder().decode(body ?? undefined))).toBe(4_000_002);
    client.close();
    await server.stop(true);
  });

  test("waiting for a free connection counts as latency", async () => {
    const server = serve(async () => {
      await Bun.sleep(20);
      return new Response("ok");
    });
    const client = new LoadClient({ port: server.port ?? 0 });
    await client.open(1);
    const next = () => httpRequest("GET", "/");
    const result = await openLoop(client, { ratePerSecond: 200, seconds: 0.1, next });
    expect(result.samples.length).toBe(20);
    // The last of 20 requests waits for 19 others of 20 ms, less the 95 ms until it was due.
    expect(Math.max(...result.samples.map(({ latencyMs }) => latencyMs))).toBeGreaterThan(250);
    client.close();
    await server.stop(true);
  });

  test("a lost connection answers status 0; the next request finds a new one", async () => {
    let drop = true;
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket) {
          if (drop) socket.end();
          else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
          drop = false;
        },
      },
    });
    const client = new LoadClient({ port: listener.port });
    await client.open(1);
    const ask = () => client.request(httpRequest("GET", "/"));
    expect((await ask()).status).toBe(0);
    expect((await ask()).status).toBe(200);
    client.close();
    listener.stop(true);
  });

  test("a connection that was closed while idle is not sent on", async () => {
    let idleMs = 5;
    const listener = Bun.listen({
      ...{ hostname: "127.0.0.1", port: 0 },
      socket: {
        open: (socket) => void (idleMs > 0 && setTimeout(() => socket.end(), idleMs)),
        data: (socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
      },
    });
    const client = new LoadClient({ port: listener.port });
    await client.open(2);
    await Bun.sleep(50);
    idleMs = 0;
    expect((await client.request(httpRequest("GET", "/"))).status).toBe(200);
    client.close();
    listener.stop(true);
  });

  test("the closed loop keeps so many requests under way", async () => {
    let [open, most] = [0, 0];
    const server = serve(async () => {
      most = Math.max(most, ++open);
      await Bun.sleep(5);
      open--;
      return new Response("ok");
    });
    const client = new LoadClient({ port: server.port ?? 0 });
    await client.open(8);
    const next = () => httpRequest("GET", "/");
    const { samples } = await closedLoop(client, { users: 4, seconds: 0.2, next });
    expect(most).toBe(4);
    expect(samples.length).toBeGreaterThan(20);
    client.close();
    await server.stop(true);
  });
});

import { describe, expect, test } from "bun:test";
import { LoadClient } from "../open-loop.ts";
import { bestConnections, type ClosedResult, closedSlates, SlateJudge } from "./slates.ts";

const answer = (items: number, degraded: readonly string[]) =>
  new TextEncoder().encode(
    JSON.stringify({ items: Array.from({ length: items }, (_, i) => ({ id: `i${i}` })), degraded }),
  );

const resultOf = (good: number, refused = 0): ClosedResult => ({
  counts: { good, refused, degraded: 0, short: 0, failed: 0 },
  ...{ seconds: 1, goodPerSecond: good, clientCpuSeconds: 0 },
});

describe("what counts as an answered request", () => {
  test("a whole slate does; a refusal, a degraded and a short one do not", () => {
    const judge = () => new SlateJudge(20);
    expect(judge().verdict(200, answer(20, []))).toBe("good");
    expect(judge().verdict(200, answer(20, ["windows"]))).toBe("degraded");
    expect(judge().verdict(200, answer(19, []))).toBe("short");
    expect(judge().verdict(503, answer(20, []))).toBe("refused");
    expect(judge().verdict(500, answer(20, []))).toBe("failed");
    expect(judge().verdict(0, null)).toBe("failed");
  });

  test("the closed loop keeps them apart, and waits after a refusal", async () => {
    let asked = 0;
    const server = Bun.serve({
      ...{ port: 0, hostname: "127.0.0.1" },
      async fetch() {
        await Bun.sleep(1);
        return asked++ % 2 === 0
          ? new Response(answer(2, []))
          : new Response("busy", { status: 503 });
      },
    });
    const client = new LoadClient({ port: server.port ?? 0, keepBodies: true });
    await client.open(1);
    const next = () => Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const load = { connections: 1, seconds: 0.5, next, judge: new SlateJudge(2) };
    const { counts, goodPerSecond, seconds } = await closedSlates(client, load);
    expect(counts.good + counts.refused).toBe(asked);
    expect(Math.abs(counts.good - counts.refused)).toBeLessThan(2);
    expect(goodPerSecond).toBe(counts.good / seconds);
    // Half a second holds at most ten pauses of 50 ms.
    expect(counts.refused).toBeLessThan(12);
    client.close();
    await server.stop(true);
  });
});

describe("the ramp", () => {
  test("stops adding connections when they bring no more, and before refusals", async () => {
    const tried: number[] = [];
    const saturating = async (connections: number) => {
      tried.push(connections);
      return resultOf(Math.min(connections, 4) * 100 + connections * 0.1);
    };
    expect(await bestConnections(saturating, 8)).toBe(4);
    expect(tried).toEqual([1, 2, 3, 4, 6, 8]);
    const refusing = async (connections: number) =>
      resultOf(connections * 100, connections > 3 ? 9 : 0);
    expect(await bestConnections(refusing, 16)).toBe(3);
  });
});

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./simulate.ts";

const folder = mkdtempSync(join(tmpdir(), "simulate-"));
afterAll(() => rmSync(folder, { recursive: true }));

function lines(path: string): { type?: string; id: string; title?: string }[] {
  return readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

describe("simulate --out", () => {
  test("writes v1 events and items, the same for the same seed", async () => {
    const texts: string[] = [];
    for (const name of ["a", "b"]) {
      const path = join(folder, `${name}.ndjson`);
      const args = ["--out", path, "--minutes", "2", "--items", "100", "--users", "30"];
      const write = (text: string) => void texts.push(text);
      expect(await run([...args, "--rate", "3"], { write })).toBe(0);
    }
    const events = lines(join(folder, "a.ndjson"));
    expect(events.length).toBeGreaterThan(500);
    expect(texts[0]).toContain(`${events.length} events`);
    expect(readFileSync(join(folder, "a.ndjson"))).toEqual(readFileSync(join(folder, "b.ndjson")));
    const items = new Set(lines(join(folder, "a.items.ndjson")).map(({ id }) => id));
    expect(items.size).toBe(100);
  });
});

describe("simulate --url", () => {
  test("closed loop: publishes, asks, sends events, prints the table", async () => {
    const seen = { items: 0, recommends: 0, types: new Set<string>(), open: 0, most: 0 };
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        const { pathname } = new URL(request.url);
        if (pathname === "/metrics") return new Response("rec_model_swaps_total 7\n");
        const body = JSON.parse(await request.text());
        if (pathname === "/v1/items") seen.items += body.length;
        if (pathname === "/v1/events") for (const { type } of body) seen.types.add(type);
        if (pathname !== "/v1/recommend") return Response.json({ accepted: body.length });
        seen.recommends++;
        seen.most = Math.max(seen.most, ++seen.open);
        await Bun.sleep(20);
        seen.open--;
        const items = Array.from({ length: body.n }, (_, i) => ({ id: `i${i}` }));
        return Response.json({ requestId: "0".repeat(32), items, degraded: [] });
      },
    });
    const texts: string[] = [];
    const args = ["--url", `http://127.0.0.1:${server.port}`, "--minutes", "0.025"];
    const more = ["--rate", "200", "--speed", "20", "--items", "200", "--users", "500"];
    await run([...args, ...more], { write: (text) => void texts.push(text) });
    await server.stop(true);
    expect(seen.items).toBe(200);
    expect(seen.recommends).toBeGreaterThan(60);
    expect(seen.most).toBeGreaterThan(1);
    expect(seen.types).toContain("impression");
    expect(seen.types).toContain("watch");
    expect(texts.at(-1)).toMatch(/ - +7 +0\n$/);
  });

  test("wrong options are refused with what is allowed", async () => {
    await expect(run(["--users", "many"])).rejects.toThrow("--users is many");
    await expect(run(["--bogus"])).rejects.toThrow("unknown option --bogus");
    await expect(run(["--rate"])).rejects.toThrow("--rate needs a value");
  });
});

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../../models/core/random.ts";
import recommender from "../../models/definition/default.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { openStorage } from "./storage.ts";

const root = mkdtempSync(join(tmpdir(), "rec-storage-"));
afterAll(() => rmSync(root, { recursive: true }));

const documents = 300;

function open(dataDir: string, said: string[]) {
  return openStorage({
    ...{ definition: recommender, dataDir, eventLogUrl: "embedded:", rankWorkers: 1 },
    ...{ durability: "async", clock: systemClock, warn: (text) => void said.push(text) },
  });
}

async function filled(name: string): Promise<string> {
  const dataDir = join(root, name);
  const storage = await open(dataDir, []);
  const puts = Array.from({ length: documents }, (_, i) => ({
    id: `i${i}`,
    document: { title: `item ${i} ${"x".repeat(100)}`, categories: [`c${i % 5}`] },
  }));
  await storage.ingest.documents.put("item", puts);
  await storage.close();
  return dataDir;
}

/** How many documents a start gives back as they were put. */
async function givenBack(dataDir: string, said: string[]): Promise<number> {
  const storage = await open(dataDir, said);
  let same = 0;
  for (let i = 0; i < documents; i++) {
    const json = await storage.ingest.documents.get("item", `i${i}`);
    if (json !== null && JSON.parse(json).title.startsWith(`item ${i} x`)) same++;
  }
  await storage.close();
  return same;
}

test("a damaged documents database is set aside and filled again from the log", async () => {
  for (const kind of ["header", "page", "torn", "foreign"] as const) {
    const dataDir = await filled(kind);
    const path = join(dataDir, "documents.sqlite");
    const bytes = readFileSync(path);
    const random = new Random(kind.length);
    if (kind === "header") bytes[3]! ^= 4;
    // The root pages' headers say what kind of page they are.
    if (kind === "page") for (let at = 4_096; at < bytes.length; at += 4_096) bytes[at]! ^= 0x30;
    const torn = kind === "torn" ? bytes.subarray(0, bytes.length / 2 + random.int(100)) : bytes;
    writeFileSync(path, kind === "foreign" ? "no database".repeat(500) : torn);
    const said: string[] = [];
    expect([kind, await givenBack(dataDir, said)]).toEqual([kind, documents]);
    expect(said.filter((text) => text.includes(path))).toHaveLength(1);
    const aside = readdirSync(dataDir).filter((name) => name.includes(".sqlite.damaged-1"));
    expect(aside).toContain("documents.sqlite.damaged-1");
    // The new one is whole.
    const again: string[] = [];
    expect(await givenBack(dataDir, again)).toBe(documents);
    expect(again).toEqual([]);
  }
});

test("embedding files hold nothing that a start needs", async () => {
  const dataDir = await filled("embeddings");
  for (const name of readdirSync(join(dataDir, "embeddings"))) {
    writeFileSync(join(dataDir, "embeddings", name), "garbage".repeat(1_000));
  }
  expect(await givenBack(dataDir, [])).toBe(documents);
  rmSync(join(dataDir, "embeddings"), { recursive: true });
  expect(await givenBack(dataDir, [])).toBe(documents);
});

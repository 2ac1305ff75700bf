import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import definition from "../../models/definition/default.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { openStorage } from "../assembly/storage.ts";
import { run } from "./import.ts";

const folder = mkdtempSync(join(tmpdir(), "import-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("history goes into a data folder without a server, once", async () => {
  const movies = ["movieId,title,genres", "7,Heat (1995),Action|Crime"];
  const ratings = ["userId,movieId,rating,timestamp", "u1,7,5,828000000", "u2,7,3,828000001"];
  writeFileSync(join(folder, "movies.csv"), movies.join("\n"));
  writeFileSync(join(folder, "ratings.csv"), ratings.join("\n"));
  const dataDir = join(folder, "data");
  const args = ["--format", "movielens", folder, "--data-dir", dataDir];
  let text = "";
  const write = (more: string) => {
    text += more;
  };
  expect(await run(args, { write })).toBe(0);
  expect(text).toContain(
    "1 items, 0 users, 5 events from 1996-03-28 to 1996-03-28: 5 new, 0 known",
  );
  expect(await run(args, { write })).toBe(0);
  expect(text).toContain("0 new, 5 known");
  const storage = await openStorage({
    ...{ definition, dataDir, eventLogUrl: "embedded:", durability: "fsync", rankWorkers: 1 },
    ...{ clock: systemClock, warn: () => {} },
  });
  try {
    expect(storage.state.users.find("u2")).toBe(1);
    expect(storage.log.endOffset("events", 0)).toBe(5);
    expect(await storage.ingest.documents.get("item", "7")).toContain("Heat (1995)");
  } finally {
    await storage.close();
  }
});

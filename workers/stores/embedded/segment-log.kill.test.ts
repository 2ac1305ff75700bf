import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Random } from "../../../models/core/random.ts";
import { readAll } from "../event-log.suite.ts";
import { realFileSystem } from "../file-system.ts";
import { openSegmentLog } from "./segment-log.ts";

const directory = mkdtempSync(join(tmpdir(), "rec-kill-"));

afterAll(() => rmSync(directory, { recursive: true }));

/** Kills a writer after so many acknowledgements; returns the last offset of them. */
async function writeAndKill(acknowledgements: number): Promise<number> {
  const fixture = fileURLToPath(new URL("./kill-writer.fixture.ts", import.meta.url));
  const writer = Bun.spawn([process.execPath, fixture, directory], { stdout: "pipe" });
  let printed = "";
  const decoder = new TextDecoder();
  for await (const chunk of writer.stdout) {
    printed += decoder.decode(chunk, { stream: true });
    if (printed.split("\n").length > acknowledgements) writer.kill("SIGKILL");
  }
  await writer.exited;
  // The last line may be cut by the kill.
  return Math.max(...printed.split("\n").slice(0, -1).map(Number));
}

test("a process killed while appending loses nothing that it acknowledged", async () => {
  const random = new Random(6);
  const fileSystem = realFileSystem();
  let before = 0;
  for (let round = 0; round < 4; round++) {
    const acknowledged = await writeAndKill(20 + random.int(200));
    const log = openSegmentLog({ directory, fileSystem, topics: { events: 1 } });
    const end = log.endOffset("events", 0);
    expect(end).toBeGreaterThanOrEqual(acknowledged);
    expect(acknowledged).toBeGreaterThan(before);
    const records = await readAll(log, { partition: 0, offset: 0, maxBytes: 1 << 16 });
    expect(records.length).toBe(end);
    expect(records.every((record) => record === "k".repeat(120))).toBe(true);
    await log.close();
    before = end;
  }
}, 30_000);

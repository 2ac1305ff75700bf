import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryFileSystem } from "./memory-file-system.ts";
import { lockDataDirectory, openDocumentStore, openEventLog, requireStoreUrl } from "./open.ts";

test("embedded: opens; the documents without a directory are in memory", async () => {
  const log = openEventLog("embedded:", {
    dataDir: "d",
    topics: { events: 1 },
    fileSystem: memoryFileSystem(),
  });
  expect(await log.append("events", 0, [new Uint8Array(3)])).toBe(0);
  await log.close();
  const documents = openDocumentStore({ dataDir: null });
  expect(documents.appliedOffset()).toBe(0);
  documents.close();
});

test("another URL names the variable, the value without its password, and what is allowed", () => {
  const check = () => requireStoreUrl("EVENT_LOG_URL", "kafka://me:secret@host:9092");
  expect(check).toThrow('EVENT_LOG_URL is "kafka://***@host:9092"; allowed: embedded:');
  expect(() => requireStoreUrl("VECTOR_INDEX_URL", "")).toThrow("VECTOR_INDEX_URL");
});

test("a data directory has one process, until it ends", async () => {
  const directory = mkdtempSync(join(tmpdir(), "rec-lock-"));
  const lock = lockDataDirectory(join(directory, "data"));
  const open = JSON.stringify(join(import.meta.dir, "open.ts"));
  const path = JSON.stringify(join(directory, "data"));
  const take = `const { lockDataDirectory } = await import(${open}); lockDataDirectory(${path});`;
  const run = (then: string) => Bun.spawnSync([process.execPath, "-e", take + then]);
  const refused = run("");
  expect(refused.exitCode).not.toBe(0);
  expect(refused.stderr.toString()).toContain("in use by another process");
  lock.release();
  expect(run("process.kill(process.pid, 'SIGKILL')").exitCode).not.toBe(0);
  lockDataDirectory(join(directory, "data")).release();
  rmSync(directory, { recursive: true });
});

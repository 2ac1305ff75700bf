import { expect, test } from "bun:test";
import { memoryFileSystem } from "./memory-file-system.ts";
import { openDocumentStore, openEventLog, requireStoreUrl } from "./open.ts";

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

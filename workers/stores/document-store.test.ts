import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runDocumentStoreSuite } from "./document-store.suite.ts";
import { openDocuments } from "./embedded/documents.ts";

const root = mkdtempSync(join(tmpdir(), "rec-documents-"));
let files = 0;

afterAll(() => rmSync(root, { recursive: true }));

runDocumentStoreSuite("file", () => {
  const path = join(root, `new/${files++}.sqlite`);
  const store = openDocuments({ path });
  const reopen = () => {
    store.close();
    return openDocuments({ path });
  };
  return { store, reopen, reader: () => openDocuments({ path, readOnly: true }) };
});

runDocumentStoreSuite("memory", () => ({
  store: openDocuments({ path: null }),
  reopen: null,
  reader: null,
}));

test("a missing or foreign file is refused with its path", () => {
  const missing = join(root, "missing.sqlite");
  const open = (path: string, readOnly: boolean) => () => openDocuments({ path, readOnly });
  expect(open(missing, true)).toThrow(missing);
  const foreign = join(root, "foreign.sqlite");
  writeFileSync(foreign, "x".repeat(5_000));
  expect(open(foreign, false)).toThrow(foreign);
});

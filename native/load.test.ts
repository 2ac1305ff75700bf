import { afterAll, expect, test } from "bun:test";
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { abiPath, nativePath } from "./load.ts";

const root = mkdtempSync(join(tmpdir(), "rec-load-"));
afterAll(() => rmSync(root, { recursive: true }));

/** A copy of what loading reads, in a folder of its own. */
async function copied(name: string) {
  const folder = join(root, name);
  mkdirSync(join(folder, "build"), { recursive: true });
  cpSync(join(import.meta.dir, "include"), join(folder, "include"), { recursive: true });
  cpSync(join(import.meta.dir, "load.ts"), join(folder, "load.ts"));
  cpSync(abiPath, join(folder, "build", basename(abiPath)));
  symlinkSync(nativePath, join(folder, "build", basename(nativePath)));
  const { nativeObjects }: typeof import("./load.ts") = await import(join(folder, "load.ts"));
  return { folder, nativeObjects };
}

test("a module that is missing or stale names the command that builds it", async () => {
  const current = await copied("current");
  expect(current.nativeObjects()).toBeGreaterThanOrEqual(0);
  const stale = await copied("stale");
  appendFileSync(join(stale.folder, "include", "rec.h"), "int32_t rec_of_tomorrow(void);\n");
  const fix = "bun native/build.ts";
  expect(stale.nativeObjects).toThrow(fix);
  expect(stale.nativeObjects).toThrow("older than the code");
  const unmarked = await copied("unmarked");
  rmSync(join(unmarked.folder, "build", basename(abiPath)));
  expect(unmarked.nativeObjects).toThrow("older than the code");
  const missing = await copied("missing");
  rmSync(join(missing.folder, "build", basename(nativePath)));
  expect(missing.nativeObjects).toThrow(fix);
});

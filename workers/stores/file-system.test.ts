import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../../models/core/random.ts";
import { FaultyFileSystem } from "./faulty-file-system.ts";
import { type FileSystem, realFileSystem } from "./file-system.ts";
import { memoryFileSystem } from "./memory-file-system.ts";

const root = mkdtempSync(join(tmpdir(), "rec-files-"));

afterAll(() => rmSync(root, { recursive: true }));

const bytes = (...values: number[]) => Uint8Array.from(values);

function runFileSystemSuite(name: string, fileSystem: FileSystem): void {
  describe(`file system: ${name}`, () => {
    const directory = join(root, name.replaceAll(" ", "-"), "a/b");
    const path = `${directory}/one`;

    test("bytes are written, read, cut and extended in place", async () => {
      fileSystem.makeDirectory(directory);
      fileSystem.makeDirectory(directory);
      const file = fileSystem.open(path, "create");
      file.write(bytes(1, 2, 3, 4), 0);
      file.write(bytes(9, 9), 3);
      const out = new Uint8Array(10);
      expect(file.read(out, 1)).toBe(4);
      expect([...out.subarray(0, 4)]).toEqual([2, 3, 9, 9]);
      expect(file.read(out, 5)).toBe(0);
      file.truncate(2);
      file.truncate(4);
      expect(file.read(out, 0)).toBe(4);
      expect([...out.subarray(0, 4)]).toEqual([1, 2, 0, 0]);
      expect(file.size()).toBe(4);
      await file.sync();
      file.syncNow();
      file.close();
      const again = fileSystem.open(path, "write");
      expect(again.size()).toBe(4);
      again.close();
    });

    test("names are listed, replaced and removed", () => {
      fileSystem.open(`${directory}/two`, "create").close();
      expect(fileSystem.list(directory)).toEqual(["one", "two"]);
      expect(fileSystem.list(`${directory}/none`)).toEqual([]);
      fileSystem.rename(path, `${directory}/two`);
      fileSystem.syncDirectory(directory);
      expect(fileSystem.list(directory)).toEqual(["two"]);
      expect(fileSystem.open(`${directory}/two`, "read").size()).toBe(4);
      expect(fileSystem.exists(path)).toBe(false);
      fileSystem.remove(`${directory}/two`);
      fileSystem.remove(`${directory}/two`);
      expect(fileSystem.list(directory)).toEqual([]);
    });

    test("a missing file is an operating error with its path", () => {
      for (const mode of ["read", "write"] as const) {
        const open = () => fileSystem.open(`${directory}/none`, mode);
        expect(open).toThrow(`${directory}/none`);
        expect(open).toThrow(expect.objectContaining({ code: "REC_FILE_MISSING" }));
      }
    });
  });
}

runFileSystemSuite("disk", realFileSystem());
runFileSystemSuite("memory", memoryFileSystem());
runFileSystemSuite("a disk that can fail", new FaultyFileSystem(new Random(1)));

describe("the disk that can fail", () => {
  test("keeps what was synced and may lose the rest, in sectors", async () => {
    let lost = 0;
    let torn = 0;
    for (let seed = 1; seed <= 50; seed++) {
      const disk = new FaultyFileSystem(new Random(seed));
      const file = disk.open("d/f", "create");
      disk.syncDirectory("d");
      file.write(new Uint8Array(512).fill(1), 0);
      await file.sync();
      file.write(new Uint8Array(1_024).fill(2), 512);
      disk.losePower();
      expect(() => file.write(bytes(1), 0)).toThrow("power is off");
      const out = new Uint8Array(1_536);
      const got = disk.open("d/f", "read").read(out, 0);
      expect(out.subarray(0, 512).every((byte) => byte === 1)).toBe(true);
      const sectors = [out[512], out[1_024]].filter((byte) => byte === 2).length;
      if (got === 512) lost++;
      if (sectors === 1) torn++;
    }
    expect(lost).toBeGreaterThan(5);
    expect(torn).toBeGreaterThan(5);
  });

  test("a name that was not synced may be lost", () => {
    let there = 0;
    for (let seed = 1; seed <= 50; seed++) {
      const disk = new FaultyFileSystem(new Random(seed));
      disk.open("d/f", "create").syncNow();
      disk.losePower();
      if (disk.exists("d/f")) there++;
    }
    expect(there).toBeGreaterThan(5);
    expect(there).toBeLessThan(45);
  });

  test("a failed sync may have lost what it was asked to keep, though it can still be read", () => {
    let lost = 0;
    for (let seed = 1; seed <= 30; seed++) {
      const disk = new FaultyFileSystem(new Random(seed));
      const file = disk.open("d/f", "create");
      disk.syncDirectory("d");
      file.write(bytes(7), 0);
      disk.failNext("sync");
      expect(() => file.syncNow()).toThrow("sync failed");
      file.syncNow();
      expect(file.size()).toBe(1);
      disk.losePower();
      if (disk.open("d/f", "read").size() === 0) lost++;
    }
    expect(lost).toBeGreaterThan(3);
    expect(lost).toBeLessThan(27);
  });
});

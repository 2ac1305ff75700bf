import { expect, test } from "bun:test";
import { utf8 } from "../core/bytes.ts";
import { SnapshotDirectory } from "./manifest.ts";
import { MapFiles } from "./testing/map-files.ts";

function directoryOf(files: MapFiles) {
  const messages: string[] = [];
  const directory = new SnapshotDirectory(files, "m", (message) => messages.push(message));
  const save = (version: number, definitionHash = "def") => {
    const section = { name: "v", dtype: "u8" as const, shape: [2] };
    const metrics = { logLoss: 0.5, auc: Number.NaN };
    const offsets = { "events/0": 10 * version };
    const rest = { parent: version - 1, createdMs: 1_000 + version, offsets, metrics };
    return directory.save({ version, definitionHash, ...rest }, [
      { ...section, chunks: [Uint8Array.of(version), Uint8Array.of(9)] },
    ]);
  };
  const newest = () => {
    const opened = directory.openNewest("def");
    return opened && [opened.manifest.version, ...opened.reader.read("v")];
  };
  return { directory, messages, save, newest };
}

test("the newest snapshot is opened with its manifest", () => {
  const { directory, save, newest } = directoryOf(new MapFiles());
  expect(newest()).toBeNull();
  for (const version of [1, 2, 10]) save(version);
  expect(directory.versions()).toEqual([10, 2, 1]);
  expect(newest()).toEqual([10, 10, 9]);
  const { manifest } = directory.open(2);
  expect(manifest).toEqual({
    version: 2,
    parent: 1,
    definitionHash: "def",
    createdMs: 1_002,
    offsets: { "events/0": 20 },
    metrics: { logLoss: 0.5 },
    sizeBytes: manifest.sizeBytes,
  });
});

test("a damaged, cut or missing newest one falls back to the one before, and says so", () => {
  const harms: ((files: MapFiles, path: string) => void)[] = [
    (files, path) => files.contents.set(path, (files.contents.get(path) ?? utf8("")).slice(0, 90)),
    (files, path) => files.contents.delete(path),
    (files, path) => files.contents.set(path, new Uint8Array(0)),
    (files, path) => {
      const bytes = files.contents.get(path);
      if (bytes !== undefined) bytes[64] ^= 4;
    },
  ];
  for (const harm of harms) {
    const files = new MapFiles();
    const { messages, save, newest } = directoryOf(files);
    for (const version of [1, 2, 3]) save(version);
    harm(files, "m/0000000003.snap");
    expect(newest()).toEqual([2, 2, 9]);
    expect(messages.length).toBe(1);
    expect(messages[0]).toContain("m/0000000003.snap: passed over");
  }
});

test("a damaged manifest is passed over too", () => {
  for (const content of ["", "[]", '{"manifest":{"version":2}}', "{"]) {
    const files = new MapFiles();
    const { messages, save, newest } = directoryOf(files);
    save(1);
    save(2);
    files.contents.set("m/0000000002.json", utf8(content));
    expect(newest()).toEqual([1, 1, 9]);
    expect(messages[0]).toContain("m/0000000002.json");
  }
});

test("one of another definition is passed over", () => {
  const { messages, save, newest } = directoryOf(new MapFiles());
  save(1);
  save(2, "other");
  expect(newest()).toEqual([1, 1, 9]);
  expect(messages[0]).toContain("definition other");
});

test("a save that meets a full disk leaves the older ones, at whichever write", () => {
  for (let writes = 0; writes < 7; writes++) {
    const files = new MapFiles();
    const { directory, save, newest } = directoryOf(files);
    save(1);
    files.writesLeft = writes;
    expect(() => save(2)).toThrow("no space");
    files.writesLeft = Number.POSITIVE_INFINITY;
    expect(newest()).toEqual([1, 1, 9]);
    directory.prune(2);
    expect(files.list("m")).toEqual(["0000000001.json", "0000000001.snap"]);
    save(2);
    expect(newest()).toEqual([2, 2, 9]);
  }
});

test("prune keeps the newest", () => {
  const files = new MapFiles();
  const { directory, save } = directoryOf(files);
  for (let version = 1; version <= 5; version++) save(version);
  directory.prune(2);
  expect(directory.versions()).toEqual([5, 4]);
  expect(files.list("m").length).toBe(4);
});

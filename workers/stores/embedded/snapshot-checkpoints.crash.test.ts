import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "../../../models/core/clock.ts";
import { RecError } from "../../../models/core/errors.ts";
import { Random } from "../../../models/core/random.ts";
import { FaultyFileSystem } from "../faulty-file-system.ts";
import { type FileSystem, realFileSystem } from "../file-system.ts";
import { SnapshotCheckpoints } from "./snapshot-checkpoints.ts";

const root = mkdtempSync(join(tmpdir(), "rec-checkpoints-"));

afterAll(() => rmSync(root, { recursive: true }));

function open(files: FileSystem, directory: string) {
  const common = { definitionHash: "def", clock: new ManualClock(1), report: () => {} };
  return new SnapshotCheckpoints({ files, directory, ...common });
}

test("the newest checkpoint is loaded, and two are kept", async () => {
  const fileSystem = realFileSystem();
  const directory = join(root, "a/b");
  const store = open(fileSystem, directory);
  expect(await store.load()).toBeNull();
  for (const value of [1, 2, 3]) {
    const whole = new Uint8Array(70_000).fill(value);
    const slices = () => [whole.subarray(0, 30_000), whole.subarray(30_000)];
    const sections = [
      { name: "state", bytes: whole },
      { name: "sliced", bytes: { byteLength: whole.length, slices } },
      { name: "empty", bytes: new Uint8Array(0) },
    ];
    await store.save(sections, [
      { topic: "events", partition: 0, offset: 10 * value },
      { topic: "served", partition: 1, offset: 7 },
    ]);
    expect(store.needed().at(0)?.offset).toBe(value === 1 ? undefined : 10 * (value - 1));
  }
  const loaded = await open(fileSystem, directory).load();
  expect(loaded?.get("state")).toEqual(new Uint8Array(70_000).fill(3));
  expect(loaded?.get("sliced")).toEqual(new Uint8Array(70_000).fill(3));
  expect(loaded?.get("empty")).toEqual(new Uint8Array(0));
  expect(fileSystem.list(directory).length).toBe(4);
  expect(open(fileSystem, directory).needed()).toEqual([
    { topic: "events", partition: 0, offset: 20 },
    { topic: "served", partition: 1, offset: 7 },
  ]);
  // Nothing may go while it is not known what is needed.
  const [, damaged] = fileSystem.list(directory).filter((name) => name.endsWith(".json"));
  const file = fileSystem.open(join(directory, damaged ?? ""), "write");
  file.truncate(5);
  file.close();
  const offsets = open(fileSystem, directory)
    .needed()
    .map(({ offset }) => offset);
  expect(offsets).toEqual([0, 0]);
});

/** Saves until the power goes; what is loaded then is the last saved, or the one being saved. */
async function loseAndLoad(random: Random): Promise<{ saved: number; loaded: number }> {
  const disk = new FaultyFileSystem(random.fork());
  let saved = 0;
  let tried = 0;
  for (let life = 0; life < 4; life++) {
    disk.rates = { fullDisk: 0.02, failedSync: 0.05, tornWrite: 0.02 };
    const store = open(disk, "c");
    for (let count = random.int(6); count > 0; count--) {
      tried++;
      const bytes = new Uint8Array(1 + random.int(3_000)).fill(tried);
      try {
        await store.save([{ name: "state", bytes }], []);
        saved = tried;
      } catch (error) {
        expect(error).toBeInstanceOf(RecError);
      }
    }
    disk.rates = {};
    disk.losePower();
    const state = (await open(disk, "c").load())?.get("state");
    const loaded = state?.[0] ?? 0;
    expect(state?.every((byte) => byte === loaded) ?? true).toBe(true);
    expect(loaded).toBeGreaterThanOrEqual(saved);
    expect(loaded).toBeLessThanOrEqual(tried);
    saved = loaded;
  }
  return { saved, loaded: tried };
}

test("a power loss at any moment leaves the last saved checkpoint, whole", async () => {
  let saved = 0;
  for (let seed = 1; seed <= 200; seed++) {
    try {
      saved += (await loseAndLoad(new Random(seed))).saved;
    } catch (error) {
      console.error(`seed ${seed} failed`);
      throw error;
    }
  }
  expect(saved).toBeGreaterThan(200);
});

import { expect, test } from "bun:test";
import { utf8 } from "../../../models/core/bytes.ts";
import { memoryFileSystem } from "../memory-file-system.ts";
import { encodeGroup, groupBytes } from "./group.ts";
import { listSegments, scanSegment } from "./segment.ts";

/** A segment of one-record groups, each linked to the CRC given for it. */
function segmentOf(groups: readonly { record: string; firstOffset: number; link?: number }[]) {
  const file = memoryFileSystem().open("s", "create");
  let previousCrc = 0;
  for (const { record, firstOffset, link } of groups) {
    const bytes = new Uint8Array(groupBytes(1, record.length, 0));
    const fields = { firstOffset, timeMs: 0, previousCrc: link ?? previousCrc, frame: null };
    previousCrc = encodeGroup(bytes, fields, [utf8(record)], record.length);
    file.write(bytes, file.size());
  }
  return file;
}

test("a scan takes groups in sequence", () => {
  const file = segmentOf([
    { record: "a", firstOffset: 7 },
    { record: "b", firstOffset: 8 },
  ]);
  const scan = scanSegment(file, 7);
  expect(scan).toMatchObject({ groups: 2, nextOffset: 9, goodBytes: file.size() });
  expect(scanSegment(file, 6)).toMatchObject({ groups: 0, goodBytes: 0, nextOffset: 6 });
});

test("a correct group that does not follow the one before is not taken", () => {
  const stale = segmentOf([
    { record: "a", firstOffset: 0 },
    { record: "stale", firstOffset: 1, link: 12_345 },
    { record: "c", firstOffset: 2 },
  ]);
  expect(scanSegment(stale, 0)).toMatchObject({ groups: 1, nextOffset: 1, goodBehind: true });
  const gap = segmentOf([
    { record: "a", firstOffset: 0 },
    { record: "c", firstOffset: 2 },
  ]);
  expect(scanSegment(gap, 0)).toMatchObject({ groups: 1, nextOffset: 1 });
});

test("other files of the directory are no segments", () => {
  const fileSystem = memoryFileSystem();
  const names = ["0000000000000040.log", "0000000000000000.log", "0000000000000000.log.new"];
  for (const name of [...names, "notes.txt", "000000000000000x.log"]) {
    fileSystem.open(`d/${name}`, "create");
  }
  expect(listSegments(fileSystem, "d")).toEqual([0, 40]);
});

import { expect, test } from "bun:test";
import { Random } from "../core/random.ts";
import { formatVersion } from "./format.ts";
import { SnapshotReader } from "./reader.ts";
import { MapFiles } from "./testing/map-files.ts";
import { SnapshotWriter } from "./writer.ts";

const floats = Float32Array.from([1.5, -2, 0.25, 8, 16, -0.5]);
const rows = Uint32Array.from([7, 4_000_000_000]);

function writeExample(files: MapFiles, path = "d/x.snap"): void {
  const writer = new SnapshotWriter(files, path, "0123456789abcdef");
  writer.add({ name: "weights", dtype: "f32", shape: [2, 3] }, floats);
  writer.add({ name: "nothing", dtype: "f64", shape: [0, 4] }, new Float64Array(0));
  writer.add({ name: "rows", dtype: "u32", shape: [2] }, rows);
  writer.finish();
}

/** The example above as format version 1 wrote it. It must stay readable. */
const golden1 = [
  "UkVDU05BUAABAAAA20do2TAxMjM0NTY3ODlhYmNkZWYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwD",
  "8AAADAAACAPgAAAEEAAIBBAAAAvwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAHAAAAAChr",
  "7lt7Im5hbWUiOiJ3ZWlnaHRzIiwiZHR5cGUiOiJmMzIiLCJzaGFwZSI6WzIsM10sInBvc2l0aW9uIjo2NCwiYnl0ZU",
  "xlbmd0aCI6MjQsImNyYyI6MzMyODc5NzczOX0seyJuYW1lIjoibm90aGluZyIsImR0eXBlIjoiZjY0Iiwic2hhcGUi",
  "OlswLDRdLCJwb3NpdGlvbiI6MTI4LCJieXRlTGVuZ3RoIjowLCJjcmMiOjB9LHsibmFtZSI6InJvd3MiLCJkdHlwZS",
  "I6InUzMiIsInNoYXBlIjpbMl0sInBvc2l0aW9uIjoxMjgsImJ5dGVMZW5ndGgiOjgsImNyYyI6MjU1MDMxNjA5MX1d",
  "AAAAAAAAYUANAQAA8dewawAAAAAAUHtAUkVDU0VORAA=",
].join("");

function bytesOf(files: MapFiles, path = "d/x.snap"): Uint8Array {
  return files.contents.get(path) ?? new Uint8Array(0);
}

function expectExample(reader: SnapshotReader): void {
  expect(reader.definitionHash).toBe("0123456789abcdef");
  expect(reader.sections.map((one) => [one.name, one.dtype, ...one.shape])).toEqual([
    ["weights", "f32", 2, 3],
    ["nothing", "f64", 0, 4],
    ["rows", "u32", 2],
  ]);
  const weights = new Float32Array(6);
  reader.readInto("weights", weights);
  expect(weights).toEqual(floats);
  expect(new Uint32Array(reader.read("rows").buffer)).toEqual(rows);
  expect(reader.read("nothing").length).toBe(0);
}

test("sections come back; no temporary file stays", () => {
  const files = new MapFiles();
  writeExample(files);
  expect(files.list("d")).toEqual(["x.snap"]);
  const reader = new SnapshotReader(files, "d/x.snap");
  expectExample(reader);
  expect(() => reader.section("other")).toThrow('no section "other"');
  expect(() => reader.readInto("rows", new Uint8Array(9))).toThrow("too short");
});

test("a file of format version 1 is read", () => {
  const files = new MapFiles();
  files.contents.set("d/golden.snap", new Uint8Array(Buffer.from(golden1, "base64")));
  const reader = new SnapshotReader(files, "d/golden.snap");
  expect(reader.version).toBe(1);
  expectExample(reader);
});

test("the current format is the newest golden one", () => {
  const files = new MapFiles();
  writeExample(files);
  expect(formatVersion).toBe(1);
  expect(Buffer.from(bytesOf(files)).toString("base64")).toBe(golden1);
});

test("every truncation and every flipped bit is noticed, or changes nothing that is read", () => {
  const files = new MapFiles();
  writeExample(files);
  const whole = bytesOf(files);
  for (let size = 0; size < whole.length; size++) {
    files.contents.set("d/cut.snap", whole.slice(0, size));
    expect(() => new SnapshotReader(files, "d/cut.snap")).toThrow("d/cut.snap");
  }
  let noticed = 0;
  for (let at = 0; at < whole.length; at++) {
    const changed = whole.slice();
    changed[at] ^= 1 << (at % 8);
    files.contents.set("d/changed.snap", changed);
    try {
      expectExample(new SnapshotReader(files, "d/changed.snap"));
    } catch (error) {
      expect(String(error)).toContain("d/changed.snap");
      noticed++;
    }
  }
  // Only the zeros between sections are not covered by a checksum.
  const padding = 3 * 64 - floats.byteLength - rows.byteLength;
  expect(noticed).toBeGreaterThan(whole.length - padding);
});

test("a later format version asks for a newer program", () => {
  const files = new MapFiles();
  writeExample(files);
  bytesOf(files)[8] = 2;
  const open = () => new SnapshotReader(files, "d/x.snap");
  expect(open).toThrow("version 2");
});

test("large sections pass in chunks", () => {
  const files = new MapFiles();
  const random = new Random(1);
  const chunk = new Uint8Array(100_000);
  const writer = new SnapshotWriter(files, "d/large.snap", "h");
  writer.begin({ name: "large", dtype: "u8", shape: [50, 100_000] });
  const sums: number[] = [];
  for (let i = 0; i < 50; i++) {
    for (let k = 0; k < chunk.length; k++) chunk[k] = random.int(256);
    sums.push(chunk.reduce((sum, byte) => sum + byte, 0));
    writer.write(chunk);
  }
  writer.finish();
  expect(files.largestBytes).toBe(chunk.length);
  files.largestBytes = 0;
  const reader = new SnapshotReader(files, "d/large.snap");
  const got: number[] = [];
  for (const part of reader.chunks("large", 100_000)) got.push(part.reduce((a, b) => a + b, 0));
  expect(got).toEqual(sums);
  expect(files.largestBytes).toBeLessThanOrEqual(4 << 20);
});

test("a section of another size than its shape, or twice, is a programmer's error", () => {
  const writer = new SnapshotWriter(new MapFiles(), "d/x.snap", "h");
  writer.add({ name: "a", dtype: "f32", shape: [2] }, new Float32Array(3));
  expect(() => writer.finish()).toThrow("shape's bytes");
  const twice = new SnapshotWriter(new MapFiles(), "d/x.snap", "h");
  twice.add({ name: "a", dtype: "u8", shape: [1] }, new Uint8Array(1));
  expect(() => twice.begin({ name: "a", dtype: "u8", shape: [1] })).toThrow("once");
});

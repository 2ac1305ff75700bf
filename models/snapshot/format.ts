import { RecError } from "../core/errors.ts";

/**
 * A snapshot file, little endian:
 *
 *   header, 64 B: "RECSNAP\0", u32 format version, u32 CRC-32 of bytes 16 to 63,
 *     32 B definition hash (ASCII, zero padded), 16 B zero
 *   sections: raw bytes, each from a multiple of 64
 *   contents: JSON, an array of SectionEntry
 *   trailer, 32 B: f64 position of the contents, u32 their bytes, u32 their CRC-32,
 *     f64 size of the file, "RECSEND\0"
 *
 * The contents stand last, so that sections can be streamed out without knowing their checksum.
 * A later format version changes what it must and keeps the first 16 bytes.
 */
export const formatVersion = 1;
export const headerBytes = 64;
export const trailerBytes = 32;
export const alignment = 64;
export const definitionHashBytes = 32;
export const headerMagic = "RECSNAP\0";
export const trailerMagic = "RECSEND\0";

export const dtypes = { u8: 1, i32: 4, u32: 4, f32: 4, f64: 8 } as const;
export type Dtype = keyof typeof dtypes;

/** What a section is; its bytes are `shape` in row-major order. */
export interface SectionShape {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

export interface SectionEntry extends SectionShape {
  readonly position: number;
  readonly byteLength: number;
  /** CRC-32 (IEEE) of the bytes. */
  readonly crc: number;
}

export function byteLengthOf(section: SectionShape): number {
  return section.shape.reduce((product, size) => product * size, dtypes[section.dtype]);
}

export function alignedUp(position: number): number {
  return Math.ceil(position / alignment) * alignment;
}

export function checksum(bytes: Uint8Array, seed = 0): number {
  return Bun.hash.crc32(bytes, seed) >>> 0;
}

export function damaged(path: string, what: string): RecError {
  return new RecError("REC_SNAPSHOT_DAMAGED", `${path}: ${what}`, { path });
}

/** The file operations that snapshots need; every file system of the stores has them. */
export interface SnapshotFile {
  size(): number;
  write(data: Uint8Array, position: number): void;
  read(out: Uint8Array, position: number): number;
  syncNow(): void;
  sync(): Promise<void>;
  close(): void;
}

export interface SnapshotFiles {
  open(path: string, mode: "read" | "create"): SnapshotFile;
  list(directory: string): string[];
  makeDirectory(directory: string): void;
  rename(from: string, to: string): void;
  remove(path: string): void;
  syncDirectory(directory: string): void;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isSize(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isDtype(value: unknown): value is Dtype {
  return typeof value === "string" && Object.hasOwn(dtypes, value);
}

/** Checks parsed contents; `path` names the file in the error. */
export function parseContents(path: string, parsed: unknown): SectionEntry[] {
  if (!Array.isArray(parsed)) throw damaged(path, "the contents are no list");
  return parsed.map((one: unknown) => {
    if (!isRecord(one)) throw damaged(path, "a section is no object");
    const { name, dtype, shape, position, byteLength, crc } = one;
    const sized = isSize(position) && isSize(byteLength) && isSize(crc);
    const shaped = Array.isArray(shape) && shape.every(isSize);
    if (typeof name !== "string" || !isDtype(dtype) || !sized || !shaped) {
      throw damaged(path, "a section lacks a field");
    }
    const entry = { name, dtype, shape, position, byteLength, crc };
    if (byteLengthOf(entry) !== byteLength) throw damaged(path, `${name}: shape and size differ`);
    return entry;
  });
}

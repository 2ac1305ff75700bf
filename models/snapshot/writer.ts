import { assert } from "../core/assert.ts";
import { utf8, viewOf } from "../core/bytes.ts";
import {
  alignedUp,
  byteLengthOf,
  checksum,
  definitionHashBytes,
  dtypes,
  formatVersion,
  headerBytes,
  headerMagic,
  type SectionEntry,
  type SectionShape,
  type SnapshotFile,
  type SnapshotFiles,
  trailerBytes,
  trailerMagic,
} from "./format.ts";

/** A shape of null: as many elements as come, in one row. */
export type OpenSection = Omit<SectionShape, "shape"> & {
  readonly shape: readonly number[] | null;
};

/**
 * Streams a snapshot to `<path>.tmp`, section by section, chunk by chunk: no more memory than the
 * largest chunk. `finish` syncs and renames it, so that `path` is whole or not there.
 */
export class SnapshotWriter {
  readonly #files: SnapshotFiles;
  readonly #path: string;
  readonly #file: SnapshotFile;
  readonly #entries: SectionEntry[] = [];
  #position = headerBytes;
  #open: { section: OpenSection; position: number; crc: number } | null = null;

  /** `definitionHash`: at most 32 ASCII characters. */
  constructor(files: SnapshotFiles, path: string, definitionHash: string) {
    this.#files = files;
    this.#path = path;
    this.#file = files.open(`${path}.tmp`, "create");
    try {
      this.#file.write(encodeHeader(definitionHash), 0);
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  /** Begins a section; the one before must be complete. */
  begin(section: OpenSection): void {
    this.#end();
    const known = this.#entries.some((entry) => entry.name === section.name);
    assert(!known, `section ${section.name} is written once`);
    const position = alignedUp(this.#position);
    this.#pad(position);
    this.#open = { section, position, crc: 0 };
  }

  /** The next bytes of the section; the chunk may be reused afterwards. */
  write(chunk: Uint8Array): void {
    assert(this.#open !== null, "a section is begun before its bytes");
    this.#file.write(chunk, this.#position);
    this.#open.crc = checksum(chunk, this.#open.crc);
    this.#position += chunk.length;
  }

  /** Resolves once what was written so far is on disk; the thread does other work meanwhile. */
  settle(): Promise<void> {
    return this.#file.sync();
  }

  /** A whole section of one typed array. */
  add(section: SectionShape, data: ArrayBufferView): void {
    this.begin(section);
    this.write(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }

  /** Makes the file last under its name; returns its size in bytes. */
  finish(): number {
    this.#end();
    const contents = utf8(JSON.stringify(this.#entries));
    const position = this.#position;
    const sizeBytes = position + contents.length + trailerBytes;
    this.#file.write(contents, position);
    this.#file.write(encodeTrailer(contents, position, sizeBytes), position + contents.length);
    this.#file.syncNow();
    this.#file.close();
    this.#files.rename(`${this.#path}.tmp`, this.#path);
    this.#files.syncDirectory(this.#path.slice(0, this.#path.lastIndexOf("/")));
    return sizeBytes;
  }

  /** Gives up and removes what was written. */
  discard(): void {
    this.#file.close();
    this.#files.remove(`${this.#path}.tmp`);
  }

  #end(): void {
    if (this.#open === null) return;
    const { position, crc } = this.#open;
    const byteLength = this.#position - position;
    const { name, dtype, shape } = this.#open.section;
    const section = { name, dtype, shape: shape ?? [byteLength / dtypes[dtype]] };
    assert(byteLength === byteLengthOf(section), `section ${section.name} has its shape's bytes`);
    this.#entries.push({ ...section, position, byteLength, crc });
    this.#open = null;
  }

  #pad(position: number): void {
    this.#file.write(new Uint8Array(position - this.#position), this.#position);
    this.#position = position;
  }
}

function encodeHeader(definitionHash: string): Uint8Array {
  const hash = utf8(definitionHash);
  assert(hash.length <= definitionHashBytes, "the definition hash fits");
  const header = new Uint8Array(headerBytes);
  header.set(utf8(headerMagic), 0);
  header.set(hash, 16);
  viewOf(header).setUint32(8, formatVersion, true);
  viewOf(header).setUint32(12, checksum(header.subarray(16)), true);
  return header;
}

function encodeTrailer(contents: Uint8Array, position: number, sizeBytes: number): Uint8Array {
  const trailer = new Uint8Array(trailerBytes);
  const view = viewOf(trailer);
  view.setFloat64(0, position, true);
  view.setUint32(8, contents.length, true);
  view.setUint32(12, checksum(contents), true);
  view.setFloat64(16, sizeBytes, true);
  trailer.set(utf8(trailerMagic), 24);
  return trailer;
}

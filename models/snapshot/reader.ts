import { text, viewOf } from "../core/bytes.ts";
import { RecError } from "../core/errors.ts";
import {
  checksum,
  damaged,
  definitionHashBytes,
  formatVersion,
  headerBytes,
  headerMagic,
  isSize,
  parseContents,
  type SectionEntry,
  type SnapshotFile,
  type SnapshotFiles,
  trailerBytes,
  trailerMagic,
} from "./format.ts";

/** How much of a section is in memory at once: still in the cache when its checksum is taken. */
const chunkBytes = 256 << 10;

/** A snapshot that is open for reading; its header, contents and every section were checked. */
export class SnapshotReader {
  readonly path: string;
  readonly version: number;
  readonly definitionHash: string;
  readonly sections: readonly SectionEntry[];
  readonly #file: SnapshotFile;

  /**
   * Opens and checks all of it (a pass over the file in chunks), so that a damaged one is known
   * before anything is loaded from it. Throws REC_SNAPSHOT_DAMAGED, or REC_SNAPSHOT_VERSION for a
   * file of a later format.
   */
  constructor(files: SnapshotFiles, path: string) {
    this.path = path;
    this.#file = files.open(path, "read");
    try {
      const header = readHeader(this.#file, path);
      this.version = header.version;
      this.definitionHash = header.definitionHash;
      this.sections = readContents(this.#file, path);
      for (const entry of this.sections) this.#check(entry);
    } catch (error) {
      this.#file.close();
      throw error;
    }
  }

  /** The section of that name; REC_SNAPSHOT_SECTION where there is none. */
  section(name: string): SectionEntry {
    const found = this.sections.find((entry) => entry.name === name);
    if (found === undefined) {
      const message = `${this.path} has no section "${name}"`;
      throw new RecError("REC_SNAPSHOT_SECTION", message, { path: this.path });
    }
    return found;
  }

  /** Fills `out` with a section's bytes from `from`; throws where the section is shorter. */
  readInto(name: string, out: ArrayBufferView, from = 0): void {
    const entry = this.section(name);
    const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
    if (from + bytes.length > entry.byteLength) throw damaged(this.path, `${name} is too short`);
    const got = this.#file.read(bytes, entry.position + from);
    if (got < bytes.length) throw damaged(this.path, `${name} ends early`);
  }

  /** A whole section. For large ones use `chunks`. */
  read(name: string): Uint8Array {
    const out = new Uint8Array(this.section(name).byteLength);
    this.readInto(name, out);
    return out;
  }

  /** A section in order, in chunks of at most `bytes`; each is valid until the next. */
  *chunks(name: string, bytes = chunkBytes): Generator<Uint8Array> {
    const { byteLength } = this.section(name);
    const chunk = new Uint8Array(Math.min(bytes, byteLength));
    for (let from = 0; from < byteLength; from += chunk.length) {
      const part = chunk.subarray(0, Math.min(chunk.length, byteLength - from));
      this.readInto(name, part, from);
      yield part;
    }
  }

  close(): void {
    this.#file.close();
  }

  #check(entry: SectionEntry): void {
    let crc = 0;
    for (const chunk of this.chunks(entry.name)) crc = checksum(chunk, crc);
    if (crc !== entry.crc) throw damaged(this.path, `${entry.name}: the checksum differs`);
  }
}

function readPart(file: SnapshotFile, position: number, size: number): Uint8Array | null {
  const part = new Uint8Array(size);
  return position >= 0 && file.read(part, position) === size ? part : null;
}

function readHeader(file: SnapshotFile, path: string) {
  const header = readPart(file, 0, headerBytes);
  if (header === null || text(header.subarray(0, 8)) !== headerMagic) {
    throw damaged(path, "no snapshot, or its beginning is lost");
  }
  const version = viewOf(header).getUint32(8, true);
  if (version > formatVersion) {
    const message = `${path} has format version ${version}, newer than ${formatVersion}`;
    throw new RecError("REC_SNAPSHOT_VERSION", message, { path, fix: "use a newer program" });
  }
  if (version < 1 || viewOf(header).getUint32(12, true) !== checksum(header.subarray(16))) {
    throw damaged(path, "the header's checksum differs");
  }
  const hash = text(header.subarray(16, 16 + definitionHashBytes));
  return { version, definitionHash: hash.replace(/\0+$/, "") };
}

function readContents(file: SnapshotFile, path: string): SectionEntry[] {
  const size = file.size();
  const trailer = readPart(file, size - trailerBytes, trailerBytes);
  if (trailer === null || text(trailer.subarray(24)) !== trailerMagic) {
    throw damaged(path, `its end is missing at ${size} bytes`);
  }
  const view = viewOf(trailer);
  const position = view.getFloat64(0, true);
  const bytes = view.getUint32(8, true);
  const fits = isSize(position) && position + bytes + trailerBytes === size;
  if (!fits || view.getFloat64(16, true) !== size) throw damaged(path, "the sizes do not fit");
  const contents = readPart(file, position, bytes);
  if (contents === null || checksum(contents) !== view.getUint32(12, true)) {
    throw damaged(path, "the checksum of the contents differs");
  }
  const entries = parseContents(path, JSON.parse(text(contents)));
  const outside = entries.some((entry) => entry.position + entry.byteLength > position);
  if (outside) throw damaged(path, "a section stands outside");
  return entries;
}

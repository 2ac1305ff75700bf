import { RecError } from "../../models/core/errors.ts";
import type { File, FileSystem, OpenMode } from "./file-system.ts";

/** Bytes that grow by doubling. */
export class GrowingBytes {
  #bytes = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** A view of the content, valid until the next write. */
  content(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  write(data: Uint8Array, position: number): void {
    const end = position + data.length;
    if (end > this.#length) this.resize(end);
    this.#bytes.set(data, position);
  }

  read(out: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(out.length, this.#length - position));
    out.set(this.#bytes.subarray(position, position + count));
    return count;
  }

  /** Longer: zeros follow. */
  resize(length: number): void {
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#bytes.length, 4_096));
      grown.set(this.content());
      this.#bytes = grown;
    }
    if (length < this.#length) this.#bytes.fill(0, length, this.#length);
    this.#length = length;
  }

  copy(): GrowingBytes {
    const copy = new GrowingBytes();
    copy.write(this.content(), 0);
    return copy;
  }
}

/** What a missing file answers, the same as on a disk. */
export function missingFile(path: string): RecError {
  return new RecError("REC_FILE_MISSING", `no such file: ${path}`, { path });
}

/** Names directly below `directory` among paths, sorted, each once. */
export function namesBelow(paths: Iterable<string>, directory: string): string[] {
  const names = new Set<string>();
  const prefix = `${directory}/`;
  for (const path of paths) {
    if (path.startsWith(prefix)) names.add(path.slice(prefix.length).split("/")[0] ?? "");
  }
  return [...names].sort();
}

class MemoryFile implements File {
  readonly path: string;
  readonly #bytes: GrowingBytes;

  constructor(path: string, bytes: GrowingBytes) {
    this.path = path;
    this.#bytes = bytes;
  }

  size(): number {
    return this.#bytes.length;
  }

  write(data: Uint8Array, position: number): void {
    this.#bytes.write(data, position);
  }

  read(out: Uint8Array, position: number): number {
    return this.#bytes.read(out, position);
  }

  truncate(size: number): void {
    this.#bytes.resize(size);
  }

  async sync(): Promise<void> {}

  syncNow(): void {}

  close(): void {}
}

class MemoryFileSystem implements FileSystem {
  readonly #files = new Map<string, GrowingBytes>();

  open(path: string, mode: OpenMode): File {
    if (mode === "create") this.#files.set(path, new GrowingBytes());
    const bytes = this.#files.get(path);
    if (bytes === undefined) throw missingFile(path);
    return new MemoryFile(path, bytes);
  }

  exists(path: string): boolean {
    return this.#files.has(path);
  }

  list(directory: string): string[] {
    return namesBelow(this.#files.keys(), directory);
  }

  makeDirectory(): void {}

  rename(from: string, to: string): void {
    const bytes = this.#files.get(from);
    if (bytes === undefined) throw missingFile(from);
    this.#files.delete(from);
    this.#files.set(to, bytes);
  }

  remove(path: string): void {
    this.#files.delete(path);
  }

  syncDirectory(): void {}
}

/** Files in this thread's memory: for virtual time. Nothing outlives the object. */
export function memoryFileSystem(): FileSystem {
  return new MemoryFileSystem();
}

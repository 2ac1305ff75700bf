import * as fs from "node:fs";
import { dirname, resolve } from "node:path";
import { messageOf, RecError } from "../../models/core/errors.ts";

/**
 * The few file operations that durable storage needs, so that a simulation can stand in for the
 * disk. Only `sync` waits for the device without blocking the thread; the rest is page-cache work.
 */
export interface File {
  readonly path: string;
  /** Current length in bytes. */
  size(): number;
  /** Writes all of `data` at `position`, or throws. */
  write(data: Uint8Array, position: number): void;
  /** Fills `out` from `position`; returns the bytes read, fewer only at the end of the file. */
  read(out: Uint8Array, position: number): number;
  truncate(size: number): void;
  /** Data and length reach the device. After a failure the unsynced bytes count as lost. */
  sync(): Promise<void>;
  /** As `sync`, blocking. */
  syncNow(): void;
  close(): void;
}

/** `create` makes an empty file (an existing one is emptied); `write` wants it to exist. */
export type OpenMode = "read" | "write" | "create";

export interface FileSystem {
  open(path: string, mode: OpenMode): File;
  exists(path: string): boolean;
  /** Names (not paths) in a directory, sorted; none where it does not exist. */
  list(directory: string): string[];
  /** With its parents, lasting; no error if it is there. */
  makeDirectory(directory: string): void;
  /** Replaces `to`. Lasting only after `syncDirectory`. */
  rename(from: string, to: string): void;
  /** No error if it is not there. */
  remove(path: string): void;
  /** New, renamed and removed names in the directory reach the device. */
  syncDirectory(directory: string): void;
}

const codes = new Map([
  ["ENOSPC", "REC_DISK_FULL"],
  ["EDQUOT", "REC_DISK_FULL"],
  ["ENOENT", "REC_FILE_MISSING"],
  ["EACCES", "REC_FILE_ACCESS"],
  ["EROFS", "REC_FILE_ACCESS"],
]);

function errnoOf(thrown: unknown): string {
  if (!(thrown instanceof Error) || !("code" in thrown)) return "";
  return typeof thrown.code === "string" ? thrown.code : "";
}

/** An operating error of a file operation, with the path in it. */
export function fileError(thrown: unknown, path: string): RecError {
  if (thrown instanceof RecError) return thrown;
  const code = codes.get(errnoOf(thrown)) ?? "REC_FILE_IO";
  const fix = code === "REC_DISK_FULL" ? "free space on the disk that holds DATA_DIR" : undefined;
  const options = { path, cause: thrown };
  return new RecError(code, messageOf(thrown), fix === undefined ? options : { ...options, fix });
}

function guarded<T>(path: string, operation: () => T): T {
  try {
    return operation();
  } catch (thrown) {
    throw fileError(thrown, path);
  }
}

class RealFile implements File {
  readonly path: string;
  #fd: number;

  constructor(path: string, mode: OpenMode) {
    this.path = path;
    const flags = mode === "read" ? "r" : mode === "write" ? "r+" : "w+";
    this.#fd = guarded(path, () => fs.openSync(path, flags));
  }

  size(): number {
    return guarded(this.path, () => fs.fstatSync(this.#fd).size);
  }

  write(data: Uint8Array, position: number): void {
    guarded(this.path, () => {
      let done = 0;
      while (done < data.length) {
        done += fs.writeSync(this.#fd, data, done, data.length - done, position + done);
      }
    });
  }

  read(out: Uint8Array, position: number): number {
    return guarded(this.path, () => {
      let done = 0;
      while (done < out.length) {
        const got = fs.readSync(this.#fd, out, done, out.length - done, position + done);
        if (got === 0) break;
        done += got;
      }
      return done;
    });
  }

  truncate(size: number): void {
    guarded(this.path, () => fs.ftruncateSync(this.#fd, size));
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => (error ? reject(fileError(error, this.path)) : resolve()));
    });
  }

  syncNow(): void {
    guarded(this.path, () => fs.fdatasyncSync(this.#fd));
  }

  close(): void {
    if (this.#fd < 0) return;
    guarded(this.path, () => fs.closeSync(this.#fd));
    this.#fd = -1;
  }
}

class RealFileSystem implements FileSystem {
  open(path: string, mode: OpenMode): File {
    return new RealFile(path, mode);
  }

  exists(path: string): boolean {
    return fs.existsSync(path);
  }

  list(directory: string): string[] {
    return this.exists(directory) ? guarded(directory, () => fs.readdirSync(directory).sort()) : [];
  }

  makeDirectory(directory: string): void {
    const first = guarded(directory, () => fs.mkdirSync(directory, { recursive: true }));
    if (first === undefined) return;
    // Each new directory is a name in the one above it.
    const above = dirname(resolve(first));
    for (let made = resolve(directory); made !== above; made = dirname(made)) {
      this.syncDirectory(dirname(made));
    }
  }

  rename(from: string, to: string): void {
    guarded(from, () => fs.renameSync(from, to));
  }

  remove(path: string): void {
    guarded(path, () => fs.rmSync(path, { force: true }));
  }

  syncDirectory(directory: string): void {
    guarded(directory, () => {
      const fd = fs.openSync(directory, "r");
      try {
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
    });
  }
}

/** The disk. */
export function realFileSystem(): FileSystem {
  return new RealFileSystem();
}

import { RecError } from "../../../models/core/errors.ts";
import type { File, FileSystem, OpenMode } from "../../../workers/stores/file-system.ts";

/**
 * The files of one thread: once it is killed, nothing of what it had begun goes on. A sync that was
 * under way has happened or not, but the thread never learns of it.
 */
export class MortalFiles implements FileSystem {
  readonly #files: FileSystem;
  #dead = false;

  constructor(files: FileSystem) {
    this.#files = files;
  }

  kill(): void {
    this.#dead = true;
  }

  open(path: string, mode: OpenMode): File {
    this.#alive();
    return this.#file(this.#files.open(path, mode));
  }

  exists(path: string): boolean {
    return this.#living(() => this.#files.exists(path));
  }

  list(directory: string): string[] {
    return this.#living(() => this.#files.list(directory));
  }

  makeDirectory(directory: string): void {
    this.#living(() => this.#files.makeDirectory(directory));
  }

  rename(from: string, to: string): void {
    this.#living(() => this.#files.rename(from, to));
  }

  remove(path: string): void {
    this.#living(() => this.#files.remove(path));
  }

  syncDirectory(directory: string): void {
    this.#living(() => this.#files.syncDirectory(directory));
  }

  #alive(): void {
    if (this.#dead) throw new RecError("REC_SIMULATION_DEAD", "the thread was killed");
  }

  #living<T>(what: () => T): T {
    this.#alive();
    return what();
  }

  #file(file: File): File {
    return {
      path: file.path,
      size: () => this.#living(() => file.size()),
      write: (data, position) => this.#living(() => file.write(data, position)),
      read: (out, position) => this.#living(() => file.read(out, position)),
      truncate: (size) => this.#living(() => file.truncate(size)),
      sync: async () => {
        this.#alive();
        try {
          await file.sync();
        } finally {
          this.#alive();
        }
      },
      syncNow: () => this.#living(() => file.syncNow()),
      close: () => file.close(),
    };
  }
}

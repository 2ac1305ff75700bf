import type { SnapshotFile, SnapshotFiles } from "../format.ts";

/** Files in a map, each written whole: enough for the tests of snapshots. */
export class MapFiles implements SnapshotFiles {
  readonly contents = new Map<string, Uint8Array>();
  /** Writes left before the disk is full. */
  writesLeft = Number.POSITIVE_INFINITY;
  /** The largest buffer that was read or written at once. */
  largestBytes = 0;

  open(path: string, mode: "read" | "create"): SnapshotFile {
    if (mode === "create") this.contents.set(path, new Uint8Array(0));
    const content = () => {
      const found = this.contents.get(path);
      if (found === undefined) throw new Error(`no such file: ${path}`);
      return found;
    };
    content();
    return {
      size: () => content().length,
      write: (data, position) => this.#write(path, data, position),
      read: (out, position) => {
        this.largestBytes = Math.max(this.largestBytes, out.length);
        const part = content().subarray(position, position + out.length);
        out.set(part);
        return part.length;
      },
      syncNow: () => {},
      sync: async () => {},
      close: () => {},
    };
  }

  list(directory: string): string[] {
    const names = [...this.contents.keys()].filter((path) => path.startsWith(`${directory}/`));
    return names.map((path) => path.slice(directory.length + 1)).sort();
  }

  makeDirectory(): void {}

  rename(from: string, to: string): void {
    this.contents.set(to, this.contents.get(from) ?? new Uint8Array(0));
    this.contents.delete(from);
  }

  remove(path: string): void {
    this.contents.delete(path);
  }

  syncDirectory(): void {}

  #write(path: string, data: Uint8Array, position: number): void {
    if (this.writesLeft-- <= 0) throw new Error("no space left");
    this.largestBytes = Math.max(this.largestBytes, data.length);
    const old = this.contents.get(path) ?? new Uint8Array(0);
    const grown = new Uint8Array(Math.max(old.length, position + data.length));
    grown.set(old);
    grown.set(data, position);
    this.contents.set(path, grown);
  }
}

import { assert } from "../../models/core/assert.ts";
import { RecError } from "../../models/core/errors.ts";
import type { Random } from "../../models/core/random.ts";
import type { File, FileSystem, OpenMode } from "./file-system.ts";
import { GrowingBytes, missingFile, namesBelow } from "./memory-file-system.ts";

/** Chances per operation, 0 to 1. */
export interface FaultRates {
  /** A write stops in the middle and throws. */
  readonly tornWrite?: number;
  /** A write finds the disk full: part of it may be there. */
  readonly fullDisk?: number;
  /** A sync throws; each unsynced sector has reached the device or never will. */
  readonly failedSync?: number;
}

/** A device writes whole sectors, in any order until a sync. */
const sectorBytes = 512;

type Change =
  | { readonly kind: "write"; readonly position: number; readonly data: Uint8Array }
  | { readonly kind: "resize"; readonly size: number };

/** What the program sees, what is on the device, and the changes between the two. */
class Inode {
  cached = new GrowingBytes();
  device = new GrowingBytes();
  pending: Change[] = [];

  apply(change: Change): void {
    if (change.kind === "write") this.cached.write(change.data, change.position);
    else this.cached.resize(change.size);
    this.pending.push(change);
  }

  settleAll(): void {
    for (const change of this.pending) settle(this.device, change);
    this.pending = [];
  }

  /** Some of the pending sectors reach the device, the others are gone. */
  settleSome(random: Random): void {
    for (const change of this.pending) {
      if (change.kind === "resize") {
        if (random.next() < 0.5) settle(this.device, change);
        continue;
      }
      for (const part of sectorsOf(change.data, change.position)) {
        if (random.next() < 0.5) settle(this.device, part);
      }
    }
    this.pending = [];
  }
}

function settle(device: GrowingBytes, change: Change): void {
  if (change.kind === "write") device.write(change.data, change.position);
  else device.resize(change.size);
}

function* sectorsOf(data: Uint8Array, position: number): Generator<Change> {
  let at = 0;
  while (at < data.length) {
    const size = sectorBytes - ((position + at) % sectorBytes);
    yield { kind: "write", position: position + at, data: data.subarray(at, at + size) };
    at += size;
  }
}

type NameChange = { readonly path: string; readonly inode: Inode | null };

/**
 * Files in memory with a device behind them, for crash tests: seeded faults, and `losePower()`,
 * after which only what was synced is sure, sector by sector, name by name.
 */
export class FaultyFileSystem implements FileSystem {
  rates: FaultRates;
  readonly #random: Random;
  #names = new Map<string, Inode>();
  #deviceNames = new Map<string, Inode>();
  /** Changes of names not yet synced; the device takes them in order (a journal). */
  #pendingNames: NameChange[][] = [];
  /** Handles opened before a power loss are dead. */
  #epoch = 0;
  #failures: ("write" | "sync")[] = [];

  constructor(random: Random, rates: FaultRates = {}) {
    this.#random = random;
    this.rates = rates;
  }

  /** The next write, or the next sync, fails. */
  failNext(operation: "write" | "sync"): void {
    this.#failures.push(operation);
  }

  /** The machine stops and starts again: returns with the files as the device has them. */
  losePower(): void {
    this.#epoch++;
    this.#failures = [];
    const kept = this.#random.int(this.#pendingNames.length + 1);
    this.#applyNames(this.#pendingNames.slice(0, kept));
    this.#pendingNames = [];
    for (const inode of new Set([...this.#names.values(), ...this.#deviceNames.values()])) {
      inode.settleSome(this.#random);
      inode.cached = inode.device.copy();
    }
    this.#names = new Map(this.#deviceNames);
  }

  /** The program is killed: handles are dead, the files stay as the kernel has them. */
  killProgram(): void {
    this.#epoch++;
    this.#failures = [];
  }

  /** Turns one bit, on the device and in the cache. */
  flipBit(path: string, position: number, bit: number): void {
    const inode = this.#inode(path);
    for (const bytes of [inode.cached, inode.device]) {
      const one = new Uint8Array(1);
      if (bytes.read(one, position) === 0) continue;
      bytes.write(Uint8Array.of((one[0] ?? 0) ^ (1 << bit)), position);
    }
  }

  open(path: string, mode: OpenMode): File {
    if (mode === "create") this.#change([{ path, inode: new Inode() }]);
    return this.#handle(path, this.#inode(path));
  }

  exists(path: string): boolean {
    return this.#names.has(path);
  }

  list(directory: string): string[] {
    return namesBelow(this.#names.keys(), directory);
  }

  makeDirectory(): void {}

  rename(from: string, to: string): void {
    const inode = this.#inode(from);
    this.#change([
      { path: from, inode: null },
      { path: to, inode },
    ]);
  }

  remove(path: string): void {
    if (this.#names.has(path)) this.#change([{ path, inode: null }]);
  }

  syncDirectory(_directory: string): void {
    this.#applyNames(this.#pendingNames);
    this.#pendingNames = [];
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path);
    if (inode === undefined) throw missingFile(path);
    return inode;
  }

  #change(changes: NameChange[]): void {
    for (const { path, inode } of changes) {
      if (inode === null) this.#names.delete(path);
      else this.#names.set(path, inode);
    }
    this.#pendingNames.push(changes);
  }

  #applyNames(groups: readonly NameChange[][]): void {
    for (const { path, inode } of groups.flat()) {
      if (inode === null) this.#deviceNames.delete(path);
      else this.#deviceNames.set(path, inode);
    }
  }

  #failing(operation: "write" | "sync", rate: number | undefined): boolean {
    const at = this.#failures.indexOf(operation);
    if (at >= 0) this.#failures.splice(at, 1);
    return at >= 0 || this.#random.next() < (rate ?? 0);
  }

  #write(inode: Inode, path: string, write: { data: Uint8Array; position: number }): void {
    const full = this.#random.next() < (this.rates.fullDisk ?? 0);
    const torn = this.#failing("write", this.rates.tornWrite);
    // The caller may reuse its buffer at once: the device's copy must be its own.
    const whole = write.data.slice();
    const size = full || torn ? this.#random.int(whole.length) : whole.length;
    inode.apply({ kind: "write", position: write.position, data: whole.subarray(0, size) });
    if (full) throw new RecError("REC_DISK_FULL", `no space left for ${path}`, { path });
    if (torn) throw new RecError("REC_FILE_IO", `write failed: ${path}`, { path });
  }

  #sync(inode: Inode, path: string): void {
    const failing = this.#failing("sync", this.rates.failedSync);
    if (!failing) inode.settleAll();
    if (!failing) return;
    inode.settleSome(this.#random);
    throw new RecError("REC_FILE_IO", `sync failed: ${path}`, { path });
  }

  #handle(path: string, inode: Inode): File {
    const epoch = this.#epoch;
    const alive = () => {
      if (epoch !== this.#epoch) throw new RecError("REC_FILE_IO", "the power is off", { path });
    };
    const syncNow = () => {
      alive();
      this.#sync(inode, path);
    };
    return {
      path,
      size: () => inode.cached.length,
      write: (data, position) => {
        alive();
        assert(position <= inode.cached.length, "a write leaves no hole");
        this.#write(inode, path, { data, position });
      },
      read: (out, position) => {
        alive();
        return inode.cached.read(out, position);
      },
      truncate: (size) => {
        alive();
        inode.apply({ kind: "resize", size });
      },
      sync: async () => {
        // A device takes its time: other work runs, and power may be lost, in between.
        for (let turns = this.#random.int(6); turns > 0; turns--) await null;
        syncNow();
      },
      syncNow,
      close: () => {},
    };
  }
}

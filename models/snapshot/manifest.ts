import { text, utf8 } from "../core/bytes.ts";
import { messageOf, RecError } from "../core/errors.ts";
import { checksum, isRecord, isSize, type SnapshotFile, type SnapshotFiles } from "./format.ts";
import { SnapshotReader } from "./reader.ts";
import { type OpenSection, SnapshotWriter } from "./writer.ts";

/** What stands beside a snapshot, as JSON: a snapshot counts only once its manifest is there. */
export interface Manifest {
  /** Grows by one a snapshot; names the files. */
  readonly version: number;
  /** The version it was trained on from; null for a first one. */
  readonly parent: number | null;
  readonly definitionHash: string;
  /** Epoch milliseconds. */
  readonly createdMs: number;
  /** Input offsets that are in it, by `topic/partition`. */
  readonly offsets: Readonly<Record<string, number>>;
  readonly metrics: Readonly<Record<string, number>>;
  readonly sizeBytes: number;
}

/** A section to save: its shape and its bytes, in as many chunks as suit the source. */
export interface SectionSource extends OpenSection {
  readonly chunks: Iterable<Uint8Array>;
}

/** A directory of snapshots of one kind (a model, a role's state), newest version last. */
export class SnapshotDirectory {
  readonly #files: SnapshotFiles;
  readonly #directory: string;
  readonly #report: (message: string) => void;

  /** `report` is told which snapshot was passed over, and why. */
  constructor(files: SnapshotFiles, directory: string, report: (message: string) => void) {
    this.#files = files;
    this.#directory = directory;
    this.#report = report;
    files.makeDirectory(directory);
  }

  /**
   * Writes the sections, then the manifest; each is synced under a temporary name and renamed. On
   * an error (a full disk) nothing of it counts and the older ones stay.
   */
  save(manifest: Omit<Manifest, "sizeBytes">, sections: Iterable<SectionSource>): Manifest {
    const path = this.#path(manifest.version, "snap");
    const writer = new SnapshotWriter(this.#files, path, manifest.definitionHash);
    try {
      for (const { name, dtype, shape, chunks } of sections) {
        writer.begin({ name, dtype, shape });
        for (const chunk of chunks) writer.write(chunk);
      }
      return this.#finish(manifest, writer);
    } catch (error) {
      writer.discard();
      throw error;
    }
  }

  /**
   * The same for a thread that has other work: after each chunk it waits for the disk, and whatever
   * is due runs meanwhile. A chunk is written before the next is asked for. `settled` is awaited
   * before the manifest is written: what the snapshot stands on.
   */
  async saveInSlices(
    manifest: Omit<Manifest, "sizeBytes">,
    sections: Iterable<SectionSource>,
    settled: () => Promise<void> = async () => {},
  ): Promise<Manifest> {
    const path = this.#path(manifest.version, "snap");
    const writer = new SnapshotWriter(this.#files, path, manifest.definitionHash);
    try {
      for (const { name, dtype, shape, chunks } of sections) {
        writer.begin({ name, dtype, shape });
        for (const chunk of chunks) {
          writer.write(chunk);
          await writer.settle();
        }
      }
      await settled();
      return this.#finish(manifest, writer);
    } catch (error) {
      writer.discard();
      throw error;
    }
  }

  #finish(manifest: Omit<Manifest, "sizeBytes">, writer: SnapshotWriter): Manifest {
    const metrics = finiteOf(manifest.metrics);
    const complete = { ...manifest, metrics, sizeBytes: writer.finish() };
    this.#writeManifest(complete);
    return complete;
  }

  /** Versions that have a manifest, newest first. Whether they are whole shows at opening. */
  versions(): number[] {
    return this.#files
      .list(this.#directory)
      .map((name) => /^(\d{10})\.json$/.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number)
      .reverse();
  }

  /** The manifest of a version; throws REC_SNAPSHOT_DAMAGED. */
  manifest(version: number): Manifest {
    const path = this.#path(version, "json");
    const file = this.#files.open(path, "read");
    try {
      return parseManifest(path, readText(file));
    } finally {
      file.close();
    }
  }

  /** Opens one version, checked; throws where it is damaged or missing. The caller closes it. */
  open(version: number): { manifest: Manifest; reader: SnapshotReader } {
    const manifest = this.manifest(version);
    return { manifest, reader: new SnapshotReader(this.#files, this.#path(version, "snap")) };
  }

  /** The newest one that is whole and of this definition; reports those passed over. */
  openNewest(definitionHash: string): { manifest: Manifest; reader: SnapshotReader } | null {
    for (const version of this.versions()) {
      try {
        const opened = this.open(version);
        if (opened.reader.definitionHash === definitionHash) return opened;
        opened.reader.close();
        const other = opened.reader.definitionHash;
        this.#report(`${opened.reader.path}: passed over, made for the definition ${other}`);
      } catch (error) {
        const path = this.#path(version, "snap");
        this.#report(`${path}: passed over for the one before: ${messageOf(error)}`);
      }
    }
    return null;
  }

  /**
   * Removes all versions but those to keep (a set, or how many of the newest), never the newest,
   * and what an interrupted save left.
   */
  prune(keep: number | ReadonlySet<number>): void {
    const versions = this.versions();
    const isKept = (version: number, i: number) =>
      i === 0 || (typeof keep === "number" ? i < keep : keep.has(version));
    const kept = new Set(versions.filter(isKept).map(String));
    for (const name of this.#files.list(this.#directory)) {
      const version = /^(\d{10})\./.exec(name)?.[1];
      const stale = name.endsWith(".tmp") || !kept.has(String(Number(version)));
      if (version !== undefined && stale) this.#files.remove(`${this.#directory}/${name}`);
    }
    this.#files.syncDirectory(this.#directory);
  }

  #path(version: number, extension: "snap" | "json"): string {
    return `${this.#directory}/${String(version).padStart(10, "0")}.${extension}`;
  }

  #writeManifest(manifest: Manifest): void {
    const path = this.#path(manifest.version, "json");
    const body = JSON.stringify(manifest);
    const file = this.#files.open(`${path}.tmp`, "create");
    file.write(utf8(JSON.stringify({ manifest, crc: checksum(utf8(body)) })), 0);
    file.syncNow();
    file.close();
    this.#files.rename(`${path}.tmp`, path);
    this.#files.syncDirectory(this.#directory);
  }
}

/** JSON has no NaN: a metric that is undefined is left out. */
function finiteOf(metrics: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics).filter(([, value]) => Number.isFinite(value)));
}

function readText(file: SnapshotFile): string {
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0);
  return text(bytes);
}

function isNumbers(value: unknown): value is Record<string, number> {
  return isRecord(value) && Object.values(value).every((one) => typeof one === "number");
}

function isManifest(value: unknown): value is Manifest {
  if (!isRecord(value)) return false;
  const { version, parent, definitionHash, createdMs, sizeBytes } = value;
  const sized = isSize(version) && isSize(sizeBytes) && (parent === null || isSize(parent));
  const named = typeof definitionHash === "string" && typeof createdMs === "number";
  return sized && named && isNumbers(value.offsets) && isNumbers(value.metrics);
}

function parseManifest(path: string, content: string): Manifest {
  const refuse = (what: string, cause?: unknown) =>
    new RecError("REC_SNAPSHOT_DAMAGED", `${path}: ${what}`, { path, cause });
  let parsed: unknown;
  try {
    parsed = JSON.parse(content);
  } catch (error) {
    throw refuse("no JSON", error);
  }
  if (!isRecord(parsed) || !isManifest(parsed.manifest)) throw refuse("fields are missing");
  const crc = checksum(utf8(JSON.stringify(parsed.manifest)));
  if (crc !== parsed.crc) throw refuse("the checksum differs");
  return parsed.manifest;
}

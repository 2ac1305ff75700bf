import { RecError } from "../../models/core/errors.ts";
import type { SnapshotFiles } from "../../models/snapshot/format.ts";
import { type Manifest, SnapshotDirectory } from "../../models/snapshot/manifest.ts";
import type { SnapshotReader } from "../../models/snapshot/reader.ts";
import type { EmbeddingTable } from "../../native/index.ts";
import type { PublishedTables } from "./publisher.ts";
import type { OnlineTrainer } from "./trainer.ts";

export interface ModelSnapshotOptions extends PublishedTables {
  readonly files: SnapshotFiles;
  readonly directory: string;
  readonly definitionHash: string;
  readonly report: (message: string) => void;
}

/** Snapshots that can be promoted again: the newest, and one of each of the last hours. */
const kept = { newest: 10, hours: 6 } as const;
const hourMs = 3_600_000;
const rowsAtOnce = 16_384;

/** A table's rows in chunks: never all of it in memory twice. */
function* chunksOf(table: EmbeddingTable, rows: number): Generator<Uint8Array> {
  const chunk = new Uint8Array(Math.min(rows, rowsAtOnce) * table.rowBytes);
  for (let first = 0; first < rows; first += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - first);
    table.save(first, count, chunk);
    yield chunk.subarray(0, count * table.rowBytes);
  }
}

function tableSection(name: string, table: EmbeddingTable) {
  const rows = table.usedRows;
  const shape = [rows, table.rowBytes];
  return { name, dtype: "u8" as const, shape, chunks: chunksOf(table, rows) };
}

/** The trainer's state as files: weights, optimizer, embeddings, and the offset they stand at. */
export class ModelSnapshots {
  readonly #options: ModelSnapshotOptions;
  readonly #directory: SnapshotDirectory;
  /** The snapshot that the present state continues. */
  #parent: number | null = null;
  /** The snapshot that the present state is a copy of, and has not learned on from. */
  #copied: number | null = null;

  constructor(options: ModelSnapshotOptions) {
    this.#options = options;
    this.#directory = new SnapshotDirectory(options.files, options.directory, options.report);
  }

  /** By the name of their section. */
  get #tables(): { readonly name: string; readonly table: EmbeddingTable }[] {
    const { users, items, userIndex, itemIndex } = this.#options;
    return [
      { name: "users", table: users },
      { name: "items", table: items },
      ...(userIndex === undefined ? [] : [{ name: "user-index", table: userIndex }]),
      ...(itemIndex === undefined ? [] : [{ name: "item-index", table: itemIndex }]),
    ];
  }

  save(trainer: OnlineTrainer, createdMs: number): Manifest {
    const { definitionHash } = this.#options;
    const version = trainer.version;
    const losses = trainer.metrics().flatMap(({ head, loss, auc, gauc, calibration }) => [
      [`${head}.loss`, loss],
      [`${head}.auc`, auc],
      [`${head}.gauc`, gauc],
      [`${head}.calibration`, calibration],
    ]);
    const metrics: Record<string, number> = Object.fromEntries(
      losses.filter(([, value]) => Number.isFinite(value)),
    );
    metrics.versionBase = trainer.versionBase;
    if (this.#copied !== null) metrics.copyOf = this.#copied;
    const state = trainer.trainer.save();
    const guard = trainer.save();
    const goodRows = trainer.saveRows();
    const owners = trainer.trainer.saveOwners();
    const manifest = this.#directory.save(
      {
        version,
        parent: this.#parent === version ? null : this.#parent,
        definitionHash,
        createdMs,
        offsets: { "samples/0": trainer.offset },
        metrics,
      },
      [
        { name: "trainer", dtype: "u8", shape: [state.length], chunks: [state] },
        { name: "guard", dtype: "u8", shape: [guard.length], chunks: [guard] },
        { name: "good-rows", dtype: "u8", shape: [goodRows.length], chunks: [goodRows] },
        ...(owners === null
          ? []
          : [{ name: "owners", dtype: "u8" as const, shape: [owners.length], chunks: [owners] }]),
        ...this.#tables.map(({ name, table }) => tableSection(name, table)),
      ],
    );
    this.#parent = version;
    this.#copied = null;
    this.#directory.prune(keptOf(this.list()));
    return manifest;
  }

  /** Continues where the newest good snapshot stood; false where there is none. */
  restoreNewest(trainer: OnlineTrainer): boolean {
    const opened = this.#directory.openNewest(this.#options.definitionHash);
    if (opened === null) {
      // A thread that died before its first snapshot left what it had learned in the tables.
      for (const { table } of this.#tables) emptyFrom(table, 0);
      return false;
    }
    this.#take(opened, trainer);
    trainer.offset = opened.manifest.offsets["samples/0"] ?? 0;
    trainer.versionBase = opened.manifest.metrics.versionBase ?? 1;
    return true;
  }

  /** Samples that the newest or the one before goes on from; 0 while there are no two. */
  get neededOffset(): number {
    const [newest, before] = this.list();
    if (newest === undefined || before === undefined) return 0;
    return Math.min(...[newest, before].map(({ offsets }) => offsets["samples/0"] ?? 0));
  }

  /** The version to roll back to: what the newest was trained on from; null where none is kept. */
  get before(): number | null {
    const manifests = this.list();
    const byVersion = new Map(manifests.map((manifest) => [manifest.version, manifest]));
    let [from]: (Manifest | undefined)[] = manifests;
    while (from?.metrics.copyOf !== undefined) from = byVersion.get(from.metrics.copyOf);
    if (from === undefined) return null;
    const parent = from.parent === null ? undefined : byVersion.get(from.parent);
    return (
      parent?.version ?? manifests.find(({ version }) => version < from.version)?.version ?? null
    );
  }

  /**
   * Loads the weights of an earlier version as the new candidate; offset and version go on from
   * where they are. Throws REC_MODEL_UNKNOWN.
   */
  promote(trainer: OnlineTrainer, version: number): void {
    if (!this.#directory.versions().includes(version)) {
      throw new RecError("REC_MODEL_UNKNOWN", `no snapshot of version ${version}`, {
        path: "version",
      });
    }
    this.#take(this.#directory.open(version), trainer);
    this.#copied = version;
    trainer.versionBase++;
    trainer.forgetVerdicts();
  }

  /** Manifests, newest first; those that cannot be read are left out. */
  list(): Manifest[] {
    return this.#directory.versions().flatMap((version) => {
      try {
        return [this.#directory.manifest(version)];
      } catch {
        return [];
      }
    });
  }

  #take(opened: { manifest: Manifest; reader: SnapshotReader }, trainer: OnlineTrainer): void {
    const { manifest, reader } = opened;
    // Once a version is live, what readers see of the rows is its own until the next publish.
    const isLive = trainer.liveVersion > 0;
    try {
      trainer.trainer.restore(reader.read("trainer"));
      const has = (section: string) => reader.sections.some(({ name }) => name === section);
      trainer.restoreNothing();
      if (has("guard")) trainer.restore(reader.read("guard"));
      if (has("good-rows")) trainer.restoreRows(reader.read("good-rows"));
      if (has("owners")) trainer.trainer.restoreOwners(reader.read("owners"));
      for (const { name, table } of this.#tables) loadTable(reader, name, { table, isLive });
    } finally {
      reader.close();
    }
    trainer.forgetPending();
    this.#parent = manifest.version;
  }
}

/** Rows beyond the snapshot's are emptied: they were learned after it. */
function loadTable(
  reader: SnapshotReader,
  name: string,
  { table, isLive }: { table: EmbeddingTable; isLive: boolean },
): void {
  const rows = reader.section(name).byteLength / table.rowBytes;
  let first = 0;
  for (const chunk of reader.chunks(name, rowsAtOnce * table.rowBytes)) {
    if (isLive) table.loadWorking(first, chunk.length / table.rowBytes, chunk);
    else table.load(first, chunk.length / table.rowBytes, chunk);
    first += chunk.length / table.rowBytes;
  }
  emptyFrom(table, rows);
}

/** Versions to keep. */
function keptOf(manifests: readonly Manifest[]): Set<number> {
  const [newest] = manifests;
  const out = new Set(manifests.slice(0, kept.newest).map(({ version }) => version));
  const hours = new Set<number>();
  for (const { version, createdMs } of manifests) {
    const hour = Math.floor(createdMs / hourMs);
    const isOld = hour + kept.hours < Math.floor((newest?.createdMs ?? 0) / hourMs);
    if (!hours.has(hour) && !isOld) out.add(version);
    hours.add(hour);
  }
  return out;
}

function emptyFrom(table: EmbeddingTable, first: number): void {
  const zeros = new Float32Array(rowsAtOnce * table.dim);
  for (let row = first; row < table.usedRows; row += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, table.usedRows - row);
    const rest = Uint32Array.from({ length: count }, (_, i) => row + i);
    table.initialise(rest, count, zeros);
  }
}

import type { Clock } from "../../../models/core/clock.ts";
import { messageOf } from "../../../models/core/errors.ts";
import type { SnapshotFiles } from "../../../models/snapshot/format.ts";
import { SnapshotDirectory } from "../../../models/snapshot/manifest.ts";
import type {
  CheckpointSection,
  CheckpointStore,
  SavedCheckpoint,
  SlicedBytes,
  SlicedSection,
} from "../checkpoint-store.ts";
import { type LogPoint, type Topic, topics } from "../event-log.ts";

export interface SnapshotCheckpointOptions {
  readonly files: SnapshotFiles;
  readonly directory: string;
  readonly definitionHash: string;
  readonly clock: Clock;
  /** Told which checkpoint was passed over, and why. */
  readonly report: (message: string) => void;
}

/** The newest and the one before, in case the newest turns out to be damaged. */
const kept = 2;

/** A slice is written in a few milliseconds: the role's own work waits no longer. */
const sliceBytes = 2 << 20;

function* slicesOf(bytes: Uint8Array | SlicedBytes): Generator<Uint8Array> {
  for (const piece of bytes instanceof Uint8Array ? [bytes] : bytes.slices()) {
    for (let from = 0; from < piece.length; from += sliceBytes) {
      yield piece.subarray(from, from + sliceBytes);
    }
  }
}

const keyOf = ({ topic, partition }: LogPoint) => `${topic}/${partition}`;

/** The earliest of the offsets at `topic/partition`; none for a topic of a newer version. */
function pointOf(key: string, offsets: readonly number[]): LogPoint[] {
  const [name, partition] = key.split("/");
  const topic: Topic | undefined = topics.find((one) => one === name);
  const point = { partition: Number(partition), offset: Math.min(...offsets) };
  return topic === undefined ? [] : [{ topic, ...point }];
}

/** A role's checkpoints as snapshot files in a folder of their own. */
export class SnapshotCheckpoints implements CheckpointStore {
  readonly #options: SnapshotCheckpointOptions;
  readonly #directory: SnapshotDirectory;

  constructor(options: SnapshotCheckpointOptions) {
    this.#options = options;
    this.#directory = new SnapshotDirectory(options.files, options.directory, options.report);
  }

  async save(
    sections: readonly (CheckpointSection | SlicedSection)[],
    needed: readonly LogPoint[],
    settled?: () => Promise<void>,
  ): Promise<void> {
    const parent = this.#directory.versions()[0] ?? null;
    const manifest = {
      version: (parent ?? 0) + 1,
      parent,
      definitionHash: this.#options.definitionHash,
      createdMs: this.#options.clock.nowMs(),
      offsets: Object.fromEntries(needed.map((point) => [keyOf(point), point.offset])),
      metrics: {},
    };
    const sources = sections.map(({ name, bytes }) => ({
      name,
      dtype: "u8" as const,
      shape: bytes.byteLength === null ? null : [bytes.byteLength],
      chunks: slicesOf(bytes),
    }));
    await this.#directory.saveInSlices(manifest, sources, settled);
    this.#directory.prune(kept);
  }

  needed(): LogPoint[] {
    const versions = this.#directory.versions().slice(0, kept);
    if (versions.length < kept) return [];
    const offsets = versions.map((version) => this.#offsetsOf(version));
    const keys = new Set(offsets.flatMap((one) => Object.keys(one)));
    return [...keys].flatMap((key) =>
      pointOf(
        key,
        offsets.map((one) => one[key] ?? 0),
      ),
    );
  }

  /** None where the manifest is damaged: everything is then needed. */
  #offsetsOf(version: number): Readonly<Record<string, number>> {
    try {
      return this.#directory.manifest(version).offsets;
    } catch (error) {
      this.#options.report(`${this.#options.directory}: ${messageOf(error)}`);
      return {};
    }
  }

  async open(): Promise<SavedCheckpoint | null> {
    const opened = this.#directory.openNewest(this.#options.definitionHash);
    if (opened === null) return null;
    const { reader } = opened;
    return {
      byteLength: (name) => reader.section(name).byteLength,
      readInto: (name, out, from) => reader.readInto(name, out, from),
      close: () => reader.close(),
    };
  }

  async load(): Promise<ReadonlyMap<string, Uint8Array> | null> {
    const opened = this.#directory.openNewest(this.#options.definitionHash);
    if (opened === null) return null;
    const { reader } = opened;
    try {
      return new Map(reader.sections.map(({ name }) => [name, reader.read(name)]));
    } finally {
      reader.close();
    }
  }
}

import { RecError } from "../../models/core/errors.ts";

/** A named part of a checkpoint. The bytes belong to the checkpoint: nobody changes them. */
export interface CheckpointSection {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * Where a role keeps a state now and then, so that a restart replays little. All sections are kept
 * or none; a checkpoint that cannot be read counts as absent, and the previous good one is loaded.
 */
export interface CheckpointStore {
  /** Resolves once the checkpoint would survive a power loss. One save at a time. */
  save(sections: readonly CheckpointSection[]): Promise<void>;
  /** The newest good checkpoint by section name; null where there is none. */
  load(): Promise<ReadonlyMap<string, Uint8Array> | null>;
}

export function sectionOf(sections: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const found = sections.get(name);
  if (found === undefined) {
    throw new RecError("REC_CHECKPOINT_SECTION", `the checkpoint has no section ${name}`);
  }
  return found;
}

/** Keeps the newest checkpoint in memory: for simulation and tests. */
export class MemoryCheckpointStore implements CheckpointStore {
  #sections: ReadonlyMap<string, Uint8Array> | null = null;
  saves = 0;

  async save(sections: readonly CheckpointSection[]): Promise<void> {
    this.#sections = new Map(sections.map(({ name, bytes }) => [name, bytes.slice()]));
    this.saves++;
  }

  async load(): Promise<ReadonlyMap<string, Uint8Array> | null> {
    return this.#sections;
  }
}

import { loadNative } from "./load.ts";

interface Functions {
  modelSlotsCreate(slots: number, floats: number, readers: number): number;
  modelSlotsShape(handle: number, out: Uint32Array): void;
  modelSlotsPin(handle: number, reader: number): number;
  modelSlotsUnpin(handle: number, reader: number): void;
  modelSlotsVersion(handle: number, slot: number): number;
  modelSlotsWeights(handle: number, slot: number): Float32Array;
  modelSlotsAcquire(handle: number): number;
  modelSlotsPublish(handle: number, slot: number, version: number): void;
  modelSlotsCurrent(handle: number, out: Float64Array): void;
  modelSlotsOldestPinnedVersion(handle: number): number;
  sharedRelease(handle: number): void;
}

export interface ModelSlotsOptions {
  /** At least 2, at most 64. */
  readonly slots: number;
  /** f32 of one model. */
  readonly floats: number;
  /** Readers that may hold a pin; each has one number of its own. */
  readonly readers: number;
}

/**
 * Model weights in a few slots and one atomic pointer to the current one. A reader holds one pin
 * at a time, from the start of a request to its end; one publisher fills slots that nobody pins.
 */
export class ModelSlots {
  readonly handle: number;
  readonly slots: number;
  readonly floats: number;
  readonly readers: number;
  readonly #native = loadNative<Functions>();
  readonly #views: (Float32Array | undefined)[] = [];
  readonly #pair = new Float64Array(2);

  private constructor(handle: number) {
    const shape = new Uint32Array(4);
    this.#native.modelSlotsShape(handle, shape);
    this.handle = handle;
    this.slots = shape[0];
    this.floats = shape[1];
    this.readers = shape[2];
  }

  static create(options: ModelSlotsOptions): ModelSlots {
    const { slots, floats, readers } = options;
    return new ModelSlots(loadNative<Functions>().modelSlotsCreate(slots, floats, readers));
  }

  static attach(handle: number): ModelSlots {
    return new ModelSlots(handle);
  }

  /**
   * Pins the current slot for this reader and returns it; -1 before the first publish. Throws
   * REC_NATIVE_STATE when the reader holds a pin already.
   */
  pin(reader: number): number {
    return this.#native.modelSlotsPin(this.handle, reader);
  }

  unpin(reader: number): void {
    this.#native.modelSlotsUnpin(this.handle, reader);
  }

  /** Drops the pin of a reader whose thread is surely gone. */
  clearReader(reader: number): void {
    this.#native.modelSlotsUnpin(this.handle, reader);
  }

  /** The version last published in a slot, 0 none. */
  version(slot: number): number {
    return this.#native.modelSlotsVersion(this.handle, slot);
  }

  /** View of a slot's weights. Read it under a pin; write it only between acquire and publish. */
  weights(slot: number): Float32Array {
    const known = this.#views[slot];
    if (known !== undefined) return known;
    const view = this.#native.modelSlotsWeights(this.handle, slot);
    this.#views[slot] = view;
    return view;
  }

  /**
   * A slot that is neither current nor pinned, the one with the oldest version first; -1 when
   * there is none. One publisher at a time.
   */
  acquire(): number {
    return this.#native.modelSlotsAcquire(this.handle);
  }

  /** Makes a filled slot current. `version` is >= 1; an earlier slot may come back. */
  publish(slot: number, version: number): void {
    this.#native.modelSlotsPublish(this.handle, slot, version);
  }

  /** Slot -1 and version 0 before the first publish. */
  current(): { slot: number; version: number } {
    this.#native.modelSlotsCurrent(this.handle, this.#pair);
    return { slot: this.#pair[0], version: this.#pair[1] };
  }

  /** The smallest version that a reader pins or may pin now: at most the current one. */
  oldestPinnedVersion(): number {
    return this.#native.modelSlotsOldestPinnedVersion(this.handle);
  }

  /** Gives the memory back once the last view of any thread is collected. */
  release(): void {
    this.#views.length = 0;
    this.#native.sharedRelease(this.handle);
  }
}

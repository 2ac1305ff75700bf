import { GraphIndex } from "../../native/index.ts";

/** Item-to-item neighbours: row i holds `perItem` places, best first, -1 where there are fewer. */
export interface ItemToItem {
  /** rows x perItem item rows. */
  readonly neighbours: Int32Array;
  /** rows x perItem weights, >= 0. */
  readonly weights: Float32Array;
  readonly perItem: number;
  readonly rows: number;
}

/** Normalised item vectors, one row an item. */
export interface ItemVectors {
  readonly dim: number;
  /** rows x dim; zeros where there is none. */
  readonly data: Float32Array;
  /** 1 where the item has a vector. */
  readonly has: Uint8Array;
}

/** Items by how many users of the window took to them, most first. */
export interface PopularItems {
  readonly rows: Int32Array;
  readonly scores: Float32Array;
}

/**
 * Everything that recall needs, made at one moment and never changed. The arrays lie in
 * SharedArrayBuffers: posting one to a thread copies nothing. `graph` is the handle of a
 * `GraphIndex` over the vectors, 0 where no item has one.
 */
export interface IndexGeneration {
  readonly generation: number;
  readonly builtAtMs: number;
  readonly itemToItem: ItemToItem;
  readonly vectors: ItemVectors;
  readonly popular: PopularItems;
  readonly graph: number;
}

/** One use of a generation, from the start of a request to its end. */
export interface GenerationLease {
  readonly generation: IndexGeneration;
  release(): void;
}

interface Held {
  readonly generation: IndexGeneration;
  readonly graph: GraphIndex | null;
  users: number;
  current: boolean;
}

/**
 * A reader thread's side of publication. Rules: the builder keeps its own reference on a graph
 * until the generation after the next is there; a reader takes one when it adopts a generation
 * and gives it back once the generation is replaced and its last request is over. A message that
 * comes too late (the graph is gone) is passed over: the newer one is on its way.
 */
export class GenerationHolder {
  readonly #reader: number;
  #held: Held | null = null;

  /** `reader`: this thread's number, so that a dead thread's references can be cleared. */
  constructor(reader: number) {
    this.#reader = reader;
  }

  get current(): IndexGeneration | null {
    return this.#held?.generation ?? null;
  }

  /** Takes a newer generation in; false where it is older than the current or already gone. */
  adopt(generation: IndexGeneration): boolean {
    const old = this.#held;
    if (old !== null && old.generation.generation >= generation.generation) return false;
    const { graph: handle } = generation;
    const graph = handle === 0 ? null : GraphIndex.hold(handle, this.#reader);
    if (graph === null && handle !== 0) return false;
    this.#held = { generation, graph, users: 0, current: true };
    if (old !== null) {
      old.current = false;
      this.#settle(old);
    }
    return true;
  }

  /** The current generation, kept until `release`; null before the first. */
  lease(): GenerationLease | null {
    const held = this.#held;
    if (held === null) return null;
    held.users++;
    let open = true;
    return {
      generation: held.generation,
      release: () => {
        if (!open) return;
        open = false;
        held.users--;
        this.#settle(held);
      },
    };
  }

  #settle(held: Held): void {
    if (!held.current && held.users === 0) held.graph?.release(this.#reader);
  }
}

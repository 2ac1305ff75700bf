import { loadNative } from "./load.ts";

interface GraphFunctions {
  graphBegin(...options: number[]): number;
  graphAdd(handle: number, vectors: Float32Array, rows: Uint32Array, ...range: number[]): void;
  graphFinish(handle: number): void;
  graphSearch(handle: number, ...rest: unknown[]): number;
  graphInfo(handle: number, out: Float64Array): void;
  graphSave(handle: number, from: number, out: Uint8Array): void;
  graphLoad(bytes: Uint8Array): number;
  graphRetain(handle: number, holder: number): number;
  graphRelease(handle: number, holder: number): void;
  graphClearHolder(holder: number): number;
}

export interface GraphOptions {
  readonly dim: number;
  /** Links of a node above level 0; twice as many on it. Default 16. */
  readonly m?: number;
  /** Candidates looked at while linking. Default 100. */
  readonly efConstruction?: number;
  readonly seed?: number;
  /** Up to so many rows no graph is made and search is exact. Default 2,000. */
  readonly exactMax?: number;
}

export interface GraphVectors extends GraphOptions {
  /** count x dim; normalised by the caller, scores are inner products. */
  readonly vectors: Float32Array;
  /** What a search answers with, one a vector. */
  readonly rows: Uint32Array;
  readonly count: number;
}

/** The holder that makes graphs; readers are 0 to 63. */
export const graphMaker = 64;

/** Builds a graph on the calling thread, a slice at a time. */
export class GraphBuild {
  readonly #native = loadNative<GraphFunctions>();
  readonly #vectors: GraphVectors;
  readonly #handle: number;
  #added = 0;

  constructor(vectors: GraphVectors) {
    const { dim, count, m = 16, efConstruction = 100, seed = 1, exactMax = 2_000 } = vectors;
    this.#vectors = vectors;
    this.#handle = this.#native.graphBegin(dim, count, m, efConstruction, seed, exactMax);
  }

  /** Adds up to `rowsMax` vectors; the finished graph with the last, null before. */
  step(rowsMax: number): GraphIndex | null {
    const { vectors, rows, count } = this.#vectors;
    const slice = Math.min(rowsMax, count - this.#added);
    this.#native.graphAdd(this.#handle, vectors, rows, this.#added, slice);
    this.#added += slice;
    if (this.#added < count) return null;
    this.#native.graphFinish(this.#handle);
    return GraphIndex.attach(this.#handle);
  }

  /** Gives up what was not finished. */
  abandon(): void {
    this.#native.graphRelease(this.#handle, graphMaker);
  }
}

/**
 * An immutable nearest-neighbour graph in native memory (hierarchical navigable small worlds,
 * Malkov and Yashunin 2016), searched by any number of threads. It lives while references are
 * held: the maker has one from the start, others `retain`.
 */
export class GraphIndex {
  readonly handle: number;
  readonly dim: number;
  readonly size: number;
  readonly sizeBytes: number;
  readonly #native: GraphFunctions;

  private constructor(handle: number) {
    this.#native = loadNative<GraphFunctions>();
    const info = new Float64Array(3);
    this.#native.graphInfo(handle, info);
    this.handle = handle;
    [this.dim, this.size, this.sizeBytes] = info as unknown as [number, number, number];
  }

  /** All at once; for large sets use GraphBuild. */
  static build(vectors: GraphVectors): GraphIndex {
    const build = new GraphBuild(vectors);
    try {
      const built = build.step(vectors.count);
      if (built !== null) return built;
    } catch (thrown) {
      build.abandon();
      throw thrown;
    }
    throw new Error("assertion failed: one slice holds every row");
  }

  /** Another thread's graph; throws REC_NATIVE_HANDLE once it is gone. Takes no reference. */
  static attach(handle: number): GraphIndex {
    return new GraphIndex(handle);
  }

  /** Another thread's graph with a reference for `holder`; null when it is gone already. */
  static hold(handle: number, holder: number): GraphIndex | null {
    const held = loadNative<GraphFunctions>().graphRetain(handle, holder) === 1;
    return held ? new GraphIndex(handle) : null;
  }

  /** From all bytes of `save`; throws REC_NATIVE_GRAPH_DAMAGED when they are not sound. */
  static load(bytes: Uint8Array): GraphIndex {
    return new GraphIndex(loadNative<GraphFunctions>().graphLoad(bytes));
  }

  /** Gives back every reference of a reader thread that is surely gone; says how many. */
  static clearHolder(holder: number): number {
    return loadNative<GraphFunctions>().graphClearHolder(holder);
  }

  /**
   * The `k` best rows by inner product, best first; gives how many. `ef` >= k candidates are
   * kept on the way: more find more and cost more. `tombstones`: bit `row` hides a row.
   */
  search(query: Float32Array, options: GraphSearch): number {
    const { k, ef, rows, scores, tombstones = null } = options;
    return this.#native.graphSearch(this.handle, query, k, ef, rows, scores, tombstones);
  }

  /** One more reference for `holder`; false when the graph is gone. */
  retain(holder = graphMaker): boolean {
    return this.#native.graphRetain(this.handle, holder) === 1;
  }

  /** Gives a reference back; the last one frees the graph. */
  release(holder = graphMaker): void {
    this.#native.graphRelease(this.handle, holder);
  }

  /**
   * Fills `out` with the graph's bytes from byte `from` on; all `sizeBytes` of them can be loaded
   * by the same version. Throws where the graph has not as many.
   */
  save(from: number, out: Uint8Array): void {
    this.#native.graphSave(this.handle, from, out);
  }
}

export interface GraphSearch {
  readonly k: number;
  readonly ef: number;
  readonly rows: Int32Array;
  readonly scores: Float32Array;
  readonly tombstones?: Uint32Array | null;
}

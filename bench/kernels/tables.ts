import { Random } from "../../models/core/random.ts";
import defaultDefinition from "../../models/definition/default.ts";
import {
  EmbeddingTable,
  GraphIndex,
  IdTable,
  ModelSlots,
  nativeKernels,
  PaneTable,
} from "../../native/index.ts";
import type { Figure } from "../statistics.ts";
import { normals } from "./cases.ts";
import { alternate, type Budget, middle, type ResultHash, type Timed } from "./measure.ts";

export interface TableSizes {
  /** Users, items: rows of each table. */
  readonly rows: number;
  /** Rows of a request. */
  readonly batch: number;
  /** Updates of one call to `apply`. */
  readonly updates: number;
  readonly graphRows: number;
}

export interface TableOptions {
  readonly sizes: TableSizes;
  readonly budget: Budget;
  readonly seed: number;
  readonly hash: ResultHash;
}

/** A timed call, what turns its microseconds into a figure, and how to end. */
interface Measured extends Timed {
  readonly figure: (rounds: readonly number[]) => Figure;
  readonly release?: () => void;
}

function microseconds(rounds: readonly number[]): Figure {
  return middle(rounds, "us");
}

function randomRows(count: number, rows: number, random: Random): Int32Array {
  return Int32Array.from({ length: count }, () => random.int(rows));
}

/**
 * Gives sets of random rows in turn, more than the caches hold: a request's rows are not those of
 * the request before.
 */
function requests(count: number, rows: number, random: Random): () => Int32Array {
  const sets = Array.from({ length: 64 }, () => randomRows(count, rows, random));
  let next = 0;
  return () => sets[next++ & 63] ?? new Int32Array(count);
}

/** The default definition's item windows, filled with events of two hours. */
function panes({ sizes, seed, hash }: TableOptions): Measured[] {
  const { rows, updates: count, batch } = sizes;
  const { interactions, windows } = defaultDefinition;
  const random = new Random(seed);
  const table = PaneTable.create({ rows, counters: interactions.length, windows });
  const late = new Uint32Array(windows.length);
  const nextRows = requests(count, rows, random);
  const updates = {
    rows: new Uint32Array(count),
    counters: Uint8Array.from({ length: count }, () => random.int(interactions.length)),
    deltas: new Uint32Array(count).fill(1),
    times: new Float64Array(count),
    offsets: new Float64Array(count).fill(-1),
    count,
    watermarkMs: Number.NEGATIVE_INFINITY,
  };
  let nowMs = 1_700_000_000_000;
  const apply = () => {
    // 5 s a batch: panes open and leave as they do in service.
    for (let i = 0; i < count; i++) updates.times[i] = nowMs + (i * 5_000) / count;
    nowMs += 5_000;
    updates.rows.set(nextRows());
    table.apply(updates, late);
  };
  for (let i = 0; i * count < 4 * rows; i++) apply();
  const wanted = requests(batch, rows, random);
  const out = new Uint32Array(batch * table.width);
  const offsets = new Float64Array(batch);
  const read = () => table.read(wanted(), batch, nowMs, { out, offsets });
  read();
  hash.add(out);
  const rate = (rounds: readonly number[]) =>
    middle(
      rounds.map((us) => (count / us) * 1e6),
      "1/s",
    );
  return [
    { name: `paneRead${batch}Us`, run: read, figure: microseconds },
    {
      name: "paneApplyPerSecond",
      run: apply,
      figure: rate,
      release: () => table.release(),
    },
  ];
}

function ids({ sizes, seed, hash }: TableOptions): Measured[] {
  const { rows, batch } = sizes;
  const table = IdTable.create({ capacity: rows, bytesMax: 16 * rows });
  for (let i = 0; i < rows; i++) table.intern(`item-${i}`);
  const pairs = IdTable.create({ capacity: 4 * rows, bytesMax: 0 });
  for (let i = 0; i < 4 * rows; i++) pairs.internPair(i % rows, i >> 3);
  const random = new Random(seed);
  const asked = Array.from({ length: 1_024 }, () => `item-${random.int(2 * rows)}`);
  hash.add(Int32Array.from(asked, (id) => table.find(id)));
  let next = 0;
  const find = () => void table.find(asked[next++ & 1_023] ?? "");
  const items = requests(batch, rows / 2, random);
  const out = new Int32Array(batch);
  const findPairs = () => pairs.findPairs(next++ & 1_023, items(), batch, out);
  findPairs();
  hash.add(out);
  const nanoseconds = (rounds: readonly number[]) => middle(rounds, "ns", 1_000);
  return [
    { name: "idFindNs", run: find, figure: nanoseconds, release: () => table.release() },
    {
      name: `idFindPairs${batch}Us`,
      run: findPairs,
      figure: microseconds,
      release: () => pairs.release(),
    },
  ];
}

function embeddings({ sizes, seed, hash }: TableOptions): Measured[] {
  const { rows, batch } = sizes;
  const dim = defaultDefinition.ranking.itemEmbedding;
  const random = new Random(seed);
  const table = EmbeddingTable.create({ path: null, rows, dim });
  const all = Int32Array.from({ length: rows }, (_, row) => row);
  table.initialise(all, rows, normals(rows * dim, random));
  table.publish(all, rows, 1);
  const wanted = requests(batch, rows, random);
  const out = new Float32Array(batch * dim);
  const gather = () => table.gather(wanted(), batch, 1, out);
  gather();
  hash.add(out);
  const release = () => table.release();
  return [{ name: `embeddingGather${batch}Us`, run: gather, figure: microseconds, release }];
}

function slots(): Measured[] {
  const table = ModelSlots.create({ slots: 4, floats: 1_024, readers: 8 });
  table.publish(table.acquire(), 1);
  const pin = () => {
    table.pin(3);
    table.unpin(3);
  };
  const figure = (rounds: readonly number[]) => middle(rounds, "ns", 1_000);
  return [{ name: "modelPinUnpinNs", run: pin, figure, release: () => table.release() }];
}

const graphDim = 64;
const graphTop = 100;

/** Unit vectors of 64 around a space of 16, as learned vectors lie. */
function unitVectors(count: number, random: Random): Float32Array {
  const latent = 16;
  const basis = normals(latent * graphDim, random);
  const out = normals(count * graphDim, random, 0.3);
  for (let i = 0; i < count; i++) {
    const row = out.subarray(i * graphDim, (i + 1) * graphDim);
    for (let l = 0; l < latent; l++) {
      const share = random.normal();
      for (let j = 0; j < graphDim; j++)
        row[j] = (row[j] ?? 0) + share * (basis[l * graphDim + j] ?? 0);
    }
    const length = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
    for (let j = 0; j < graphDim; j++) row[j] = (row[j] ?? 0) / length;
  }
  return out;
}

/** The share of the exact best that the graph finds, over some queries. */
function graphRecall(vectors: Float32Array, count: number, find: (query: number) => Int32Array) {
  const kernels = nativeKernels();
  const out = new Float32Array(count);
  const best = new Uint32Array(Math.min(graphTop, count));
  let found = 0;
  const queries = 20;
  for (let q = 0; q < queries; q++) {
    const query = vectors.subarray(q * graphDim, (q + 1) * graphDim);
    const size = { row: graphDim, count, width: graphDim };
    kernels.dotRows({ query, rows: vectors, ...size, out });
    kernels.topK(out, count, best.length, best);
    const exact = new Set(best);
    found += find(q).reduce((sum, row) => sum + (exact.has(row) ? 1 : 0), 0);
  }
  return found / (queries * best.length);
}

function graph({ sizes, seed, hash }: TableOptions): { measured: Measured[]; recall: number } {
  const count = sizes.graphRows;
  const vectors = unitVectors(count, new Random(seed));
  const rows = Uint32Array.from({ length: count }, (_, row) => row);
  const index = GraphIndex.build({ vectors, rows, count, dim: graphDim });
  const top = Math.min(graphTop, count);
  const found = new Int32Array(top);
  const scores = new Float32Array(top);
  const search = (q: number) => {
    const query = vectors.subarray(q * graphDim, (q + 1) * graphDim);
    index.search(query, { k: top, ef: 2 * top, rows: found, scores });
    return found;
  };
  const recall = graphRecall(vectors, count, search);
  hash.add(found);
  let next = 0;
  const run = () => void search(next++ % count);
  const measured = {
    name: `graphSearch${top}Us`,
    run,
    figure: microseconds,
    release: () => index.release(),
  };
  return { measured: [measured], recall };
}

/** What a request reads from shared memory, and what an event writes there. */
export function measureTables(options: TableOptions): Record<string, Figure> {
  const { measured, recall } = graph(options);
  const all = [...panes(options), ...ids(options), ...embeddings(options), ...slots(), ...measured];
  const found = alternate(all, options.budget);
  const figures: Record<string, Figure> = {};
  for (const { name, figure, release } of all) {
    figures[name] = figure(found.get(name) ?? []);
    release?.();
  }
  figures.graphRecall = { value: recall, unit: "share" };
  return figures;
}

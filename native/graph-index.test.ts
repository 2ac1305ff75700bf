import { describe, expect, test } from "bun:test";
import { GraphBuild, GraphIndex } from "./graph-index.ts";

const dim = 16;

/** Repeatable unit vectors (a linear congruence is random enough here). */
function unitVectors(count: number, seed: number): Float32Array {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const values = Float32Array.from({ length: count * dim }, () => next() + next() + next());
  for (let i = 0; i < count; i++) {
    const row = values.subarray(i * dim, i * dim + dim);
    const norm = Math.hypot(...row);
    for (let d = 0; d < dim; d++) row[d] /= norm;
  }
  return values;
}

function sources(count: number) {
  const rows = Uint32Array.from({ length: count }, (_, i) => 2 * i);
  return { vectors: unitVectors(count, 7), rows, count, dim };
}

/** Scores every vector: the truth that both kinds of search are held to. */
function truth(vectors: Float32Array, query: Float32Array, k: number): number[] {
  const scored = Array.from({ length: vectors.length / dim }, (_, i) => {
    let sum = 0;
    for (let d = 0; d < dim; d++) sum += vectors[i * dim + d] * query[d];
    return { row: 2 * i, sum };
  });
  return scored
    .sort((a, b) => b.sum - a.sum)
    .slice(0, k)
    .map(({ row }) => row);
}

function find(graph: GraphIndex, query: Float32Array, tombstones: Uint32Array | null = null) {
  const rows = new Int32Array(10);
  const scores = new Float32Array(10);
  const count = graph.search(query, { k: 10, ef: 120, rows, scores, tombstones });
  return [...rows.subarray(0, count)];
}

/** All bytes of a graph, in slices that do not fit evenly. */
function bytesOf(graph: GraphIndex): Uint8Array {
  const bytes = new Uint8Array(graph.sizeBytes);
  for (let from = 0; from < bytes.length; from += 1_001) {
    graph.save(from, bytes.subarray(from, from + 1_001));
  }
  return bytes;
}

describe("graph index", () => {
  test("a small set is searched exactly", () => {
    const set = sources(500);
    const graph = GraphIndex.build(set);
    for (let q = 0; q < 20; q++) {
      const query = unitVectors(1, 100 + q);
      expect(find(graph, query)).toEqual(truth(set.vectors, query, 10));
    }
    graph.release();
  });

  test("a graph finds nearly all, the same in slices and after save and load", () => {
    const set = { ...sources(3_000), exactMax: 0 };
    const graph = GraphIndex.build(set);
    const build = new GraphBuild(set);
    let sliced = build.step(700);
    while (sliced === null) sliced = build.step(700);
    const loaded = GraphIndex.load(bytesOf(graph));
    let found = 0;
    for (let q = 0; q < 50; q++) {
      const query = unitVectors(1, 200 + q);
      const rows = find(graph, query);
      const wanted = new Set(truth(set.vectors, query, 10));
      found += rows.filter((row) => wanted.has(row)).length;
      expect(find(sliced, query)).toEqual(rows);
      expect(find(loaded, query)).toEqual(rows);
    }
    expect(found / 500).toBeGreaterThan(0.97);
    for (const one of [graph, sliced, loaded]) one.release();
  });

  test("hidden rows are not found", () => {
    for (const exactMax of [0, 5_000]) {
      const graph = GraphIndex.build({ ...sources(2_500), exactMax });
      const query = unitVectors(1, 9);
      const before = find(graph, query);
      const mask = new Uint32Array(200);
      for (const row of before) mask[row >> 5] |= 1 << (row & 31);
      const after = find(graph, query, mask);
      expect(after.length).toBe(10);
      expect(after.filter((row) => before.includes(row))).toEqual([]);
      graph.release();
    }
  });

  test("lives while someone holds it, and is gone afterwards", () => {
    const graph = GraphIndex.build(sources(50));
    expect(graph.retain(3)).toBe(true);
    graph.release();
    const reader = GraphIndex.attach(graph.handle);
    expect(find(reader, unitVectors(1, 1)).length).toBe(10);
    expect(() => graph.release()).toThrow("no reference to give back");
    reader.release(3);
    expect(graph.retain(3)).toBe(false);
    expect(() => find(reader, unitVectors(1, 1))).toThrow("no graph has this handle");
    expect(() => GraphIndex.attach(graph.handle)).toThrow("no graph has this handle");
  });

  test("a dead reader's references are given back", () => {
    const graph = GraphIndex.build(sources(50));
    for (let i = 0; i < 3; i++) graph.retain(41);
    expect(GraphIndex.clearHolder(41)).toBe(3);
    expect(GraphIndex.clearHolder(41)).toBe(0);
    graph.release();
    expect(graph.retain(41)).toBe(false);
  });

  test("wrong arguments throw", () => {
    const set = sources(50);
    expect(() => GraphIndex.build({ ...set, dim: 0 })).toThrow("out of range");
    expect(() => GraphIndex.build({ ...set, count: 51 })).toThrow("needs");
    const broken = { ...set, vectors: set.vectors.slice().fill(Number.NaN, 3, 4) };
    expect(() => GraphIndex.build(broken)).toThrow("not finite");
    const graph = GraphIndex.build(set);
    expect(() => find(graph, new Float32Array(dim - 1))).toThrow("needs 16");
    expect(() => find(graph, new Float32Array(dim).fill(Number.NaN))).toThrow("finite");
    const bytes = bytesOf(graph);
    expect(() => graph.save(1, bytes)).toThrow("beyond the graph");
    expect(() => graph.save(bytes.length + 1, bytes.subarray(0, 0))).toThrow("beyond the graph");
    expect(() => graph.save(-1, bytes)).toThrow("from");
    expect(() => GraphIndex.load(bytes.subarray(0, 100))).toThrow("shape says");
    bytes[0] = 0;
    expect(() => GraphIndex.load(bytes)).toThrow("start as a graph");
    graph.release();
  });

  test("an empty one answers with nothing", () => {
    const graph = GraphIndex.build(sources(0));
    expect(find(graph, unitVectors(1, 1))).toEqual([]);
    graph.release();
  });
});

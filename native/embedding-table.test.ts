import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EmbeddingTable } from "./embedding-table.ts";
import { seededRandom } from "./test/seeded-random.ts";

function published(table: EmbeddingTable, row: number, pin: number): number[] {
  const out = new Float32Array(table.dim).fill(-1);
  table.gather(Int32Array.of(row), 1, pin, out);
  return [...out];
}

test("a reader sees the newest value that its pin allows", () => {
  const table = EmbeddingTable.create({ path: null, rows: 10, dim: 3 });
  const row = Int32Array.of(4);
  const set = (value: number) => table.initialise(row, 1, new Float32Array(3).fill(value));
  expect(published(table, 4, 9)).toEqual([0, 0, 0]);
  set(1);
  expect(published(table, 4, 9)).toEqual([0, 0, 0]);
  table.publish(row, 1, 5);
  set(2);
  table.publish(row, 1, 7);
  expect([4, 5, 6, 7, 99].map((pin) => published(table, 4, pin)[0])).toEqual([0, 1, 1, 2, 2]);
  set(3);
  table.publish(Int32Array.of(4, 4, -1), 3, 8);
  expect([6, 7, 8].map((pin) => published(table, 4, pin)[0])).toEqual([0, 2, 3]);
  expect(() => table.publish(row, 1, 7)).toThrow("range");
  expect(() => table.publish(row, 1, 0)).toThrow("range");
  expect(published(table, 4, 8)).toEqual([3, 3, 3]);
  expect(published(table, -1, 8)).toEqual([0, 0, 0]);
  table.release();
});

test("adagrad equals plain float32 arithmetic bit for bit, repeated rows in order", () => {
  for (const dim of [1, 3, 16, 33]) {
    const table = EmbeddingTable.create({ path: null, rows: 5, dim });
    const random = seededRandom(dim);
    const f = Math.fround;
    const weights = Array.from({ length: 5 }, () => new Float32Array(dim));
    const sums = new Float32Array(5);
    const learningRate = f(0.05);
    const epsilon = f(1e-6);
    const decay = f(dim === 3 ? 0.9 : 1);
    for (let step = 0; step < 50; step++) {
      const rows = Int32Array.from({ length: 7 }, () => Math.floor(random() * 6) - 1);
      const gradients = Float32Array.from({ length: 7 * dim }, () => random() - 0.5);
      table.applyAdagrad(rows, 7, gradients, { learningRate, epsilon, decay });
      rows.forEach((row, i) => {
        if (row < 0) return;
        const gradient = gradients.subarray(i * dim, (i + 1) * dim);
        let squares = 0;
        for (const g of gradient) squares = f(squares + f(g * g));
        sums[row] = f(f(sums[row] * decay) + f(squares / dim));
        const rate = f(learningRate / f(f(Math.sqrt(sums[row])) + epsilon));
        for (let d = 0; d < dim; d++) weights[row][d] -= f(rate * gradient[d]);
      });
      const out = new Float32Array(5 * dim);
      table.gatherWorking(Int32Array.of(0, 1, 2, 3, 4), 5, out);
      for (let row = 0; row < 5; row++) {
        expect(out.subarray(row * dim, (row + 1) * dim)).toEqual(weights[row]);
      }
    }
    table.release();
  }
});

test("saved rows continue bit for bit, in memory or in a file", () => {
  const folder = mkdtempSync(join(tmpdir(), "embeddings-"));
  const path = join(folder, "e.f32");
  writeFileSync(path, "what stood here before");
  const first = EmbeddingTable.create({ path: null, rows: 100, dim: 5 });
  const second = EmbeddingTable.create({ path, rows: 100, dim: 5 });
  const random = seededRandom(3);
  const rows = Int32Array.of(3, 17, 60);
  const values = Float32Array.from({ length: 15 }, () => random());
  const options = { learningRate: 0.1, epsilon: 1e-6, decay: 1 };
  first.initialise(rows, 3, values);
  first.applyAdagrad(rows, 3, values, options);
  first.publish(rows, 3, 1);
  expect(first.usedRows).toBe(61);
  const bytes = new Uint8Array(100 * first.rowBytes);
  first.save(0, 100, bytes);
  second.load(0, 100, bytes);
  for (const table of [first, second]) {
    table.applyAdagrad(rows, 3, values, options);
    table.publish(rows, 3, 2);
  }
  const again = new Uint8Array(bytes.length);
  first.save(0, 100, bytes);
  second.save(0, 100, again);
  expect(again).toEqual(bytes);
  expect(published(second, 17, 1)).not.toEqual(published(second, 17, 2));
  expect(statSync(path).size).toBe(100 * first.rowBytes);
  first.release();
  second.release();
  rmSync(folder, { recursive: true });
});

test("loaded as working values alone, saved rows change nothing that readers see", () => {
  const table = EmbeddingTable.create({ path: null, rows: 4, dim: 2 });
  const row = Int32Array.of(1);
  const set = (value: number) => table.initialise(row, 1, new Float32Array(2).fill(value));
  set(1);
  const saved = new Uint8Array(table.rowBytes);
  table.save(1, 1, saved);
  set(2);
  table.publish(row, 1, 5);
  table.loadWorking(1, 1, saved);
  expect(published(table, 1, 9)).toEqual([2, 2]);
  table.publish(row, 1, 6);
  expect([5, 6].map((pin) => published(table, 1, pin)[0])).toEqual([2, 1]);
  table.release();
});

test("a table of over 4 GiB takes on disk what its rows take", () => {
  const folder = mkdtempSync(join(tmpdir(), "embeddings-"));
  const path = join(folder, "wide.f32");
  const rows = 24_000_000;
  const table = EmbeddingTable.create({ path, rows, dim: 16 });
  expect(rows * table.rowBytes).toBeGreaterThan(2 ** 32);
  expect(statSync(path).size).toBe(rows * table.rowBytes);
  // With 32 bits of offset each of these would fall on the one before.
  const apart = Math.ceil(2 ** 32 / table.rowBytes);
  const far = Int32Array.of(3, 3 + apart, rows - 1);
  const values = Float32Array.from({ length: 48 }, (_, i) => i);
  table.initialise(far, 3, values);
  table.publish(far, 3, 1);
  const out = new Float32Array(48);
  table.gather(far, 3, 1, out);
  expect(out).toEqual(values);
  table.gather(Int32Array.of(2, 4, rows - 2), 3, 1, out);
  expect(out).toEqual(new Float32Array(48));
  const last = new Uint8Array(table.rowBytes);
  table.save(rows - 1, 1, last);
  table.load(4, 1, last);
  table.gather(Int32Array.of(4, -1, -1), 3, 1, out);
  expect(out.subarray(0, 16)).toEqual(values.subarray(32));
  expect(512 * statSync(path).blocks).toBeLessThan(32 << 20);
  table.release();
  rmSync(folder, { recursive: true });
});

test("wrong arguments throw", () => {
  const table = EmbeddingTable.create({ path: null, rows: 3, dim: 2 });
  const out = new Float32Array(2);
  const options = { learningRate: 0.1, epsilon: 1e-6, decay: 1 };
  for (const row of [3, -2]) {
    expect(() => table.gather(Int32Array.of(row), 1, 1, out)).toThrow("range");
    expect(() => table.gatherWorking(Int32Array.of(row), 1, out)).toThrow("range");
    expect(() => table.initialise(Int32Array.of(row), 1, out)).toThrow("range");
    expect(() => table.applyAdagrad(Int32Array.of(row), 1, out, options)).toThrow("range");
    expect(() => table.publish(Int32Array.of(row), 1, 1)).toThrow("range");
  }
  const row = Int32Array.of(0);
  expect(() => table.gather(row, 1, 1, new Float32Array(1))).toThrow("short");
  expect(() => table.gather(row, 2, 1, new Float32Array(4))).toThrow("rows");
  expect(() => table.gather(row, 1, -1, out)).toThrow("pinVersion");
  expect(() => table.gather(row, 1, 1, new Float64Array(2) as unknown as Float32Array)).toThrow();
  expect(() => table.applyAdagrad(row, 1, out, { ...options, epsilon: 0 })).toThrow("range");
  expect(() => table.applyAdagrad(row, 1, out, { ...options, decay: 1.5 })).toThrow("range");
  expect(() => table.save(0, 4, new Uint8Array(4 * table.rowBytes))).toThrow("range");
  expect(() => EmbeddingTable.create({ path: "/nowhere/x", rows: 1, dim: 1 })).toThrow("path");
  expect(() => EmbeddingTable.create({ path: null, rows: 1, dim: 2_000 })).toThrow("range");
  table.release();
  expect(() => table.usedRows).toThrow("handle");
});

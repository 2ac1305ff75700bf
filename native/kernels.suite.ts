import { describe, expect, test } from "bun:test";
import type { KernelSet, MmoeShape } from "./kernel-set.ts";
import { mmoeWorkspace, packMmoeShape, padded } from "./kernel-set.ts";
import { referenceKernels } from "./reference/kernels.ts";

/** Values that repeat: xorshift over a seed, in [-1, 1). */
export function values(count: number, seed: number, scale = 1): Float32Array {
  let state = (seed * 2654435761) | 1;
  return Float32Array.from({ length: count }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state / 2 ** 31) * scale;
  });
}

/** An array that starts one float past its buffer's start: no alignment to rely on. */
function unaligned(from: Float32Array): Float32Array {
  const out = new Float32Array(new ArrayBuffer(4 * from.length + 4), 4);
  out.set(from);
  return out;
}

function close(found: Float32Array, wanted: Float32Array, tolerance: number): void {
  expect(found.length).toBe(wanted.length);
  for (let i = 0; i < found.length; i++) {
    const a = found[i]!;
    const b = wanted[i]!;
    if (Object.is(a, b) || a === b) continue;
    const fault = Math.abs(a - b) / Math.max(1, Math.abs(b));
    if (!(fault <= tolerance)) throw new Error(`at ${i}: ${a} where the twin has ${b}`);
  }
}

/** Runs `step` with the kernels and with the twin, each on own copies, and compares the copies. */
export function same(
  kernels: KernelSet,
  inputs: readonly Float32Array[],
  step: (set: KernelSet, copies: Float32Array[]) => void,
): void {
  const ours = inputs.map(unaligned);
  const theirs = inputs.map((one) => one.slice());
  step(kernels, ours);
  step(referenceKernels, theirs);
  for (const [i, one] of ours.entries()) close(one, theirs[i]!, 2e-5);
}

const sizes = [1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 15, 16, 17, 31, 32, 33, 47, 65];

/** What a set of kernels must do, whoever computes. */
export function kernelsSuite(name: string, make: () => KernelSet): void {
  describe(`kernels ${name}`, () => {
    matrixTests(make);
    matrixRowTests(make);
    rowTests(make);
    gateTests(make);
    optimizerTests(make);
    lossTests(make);
    topKTests(make);
    mmoeTests(make);
  });
}

interface Awkward {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly relu: number;
  readonly transposed: "none" | "a" | "b";
  readonly accumulate: boolean;
  readonly bias: boolean;
}

function checkProduct(kernels: KernelSet, c: Awkward): void {
  const { rows, columns, depth } = c;
  const cRow = columns + 3;
  const a = values(rows * depth, rows + 1);
  const b = values(depth * columns, columns + 2);
  const out = values(rows * cRow, 3);
  same(kernels, [a, b, out, values(columns, 4)], (set, [a, b, out, bias]) =>
    set.matrixProduct({
      a: a!,
      aRow: c.transposed === "a" ? 1 : depth,
      aColumn: c.transposed === "a" ? rows : 1,
      b: b!,
      bRow: c.transposed === "b" ? 1 : columns,
      bColumn: c.transposed === "b" ? depth : 1,
      c: out!,
      cRow,
      bias: c.bias ? bias! : null,
      rows,
      columns,
      depth,
      reluColumns: c.relu,
      accumulate: c.accumulate,
    }),
  );
}

function matrixTests(make: () => KernelSet): void {
  test("matrix product at awkward sizes, with gaps, bias, ReLU, transposes", () => {
    const transposes = ["none", "a", "b"] as const;
    let turn = 0;
    for (const rows of sizes) {
      for (const columns of sizes) {
        const depth = sizes[turn % sizes.length]! + (turn % 7 === 0 ? 300 : 0);
        const relu = turn % 3 === 0 ? 0 : columns > 16 && turn % 2 === 0 ? 16 : columns;
        checkProduct(make(), {
          rows,
          columns,
          depth,
          relu,
          transposed: transposes[turn % 3]!,
          accumulate: turn % 2 === 0,
          bias: turn % 5 < 3,
        });
        turn++;
      }
    }
  });

  test("a depth of none leaves the start", () => {
    const relu = { relu: 5, transposed: "none", accumulate: false, bias: true } as const;
    checkProduct(make(), { rows: 3, columns: 5, depth: 0, ...relu });
  });
}

function matrixRowTests(make: () => KernelSet): void {
  test("a row's product does not depend on its neighbours, bit for bit", () => {
    const [depth, columns] = [300, 45];
    const a = values(40 * depth, 5);
    const b = values(depth * columns, 6);
    const run = (from: number, rows: number) => {
      const c = new Float32Array(rows * columns);
      const shape = { aRow: depth, aColumn: 1, bRow: columns, bColumn: 1, cRow: columns };
      const flags = { bias: null, reluColumns: 0, accumulate: false };
      const whole = { a: a.subarray(from * depth), b, c, rows, columns, depth };
      make().matrixProduct({ ...whole, ...shape, ...flags });
      return c;
    };
    const all = run(0, 40);
    for (const [from, rows] of [
      [0, 1],
      [7, 3],
      [39, 1],
      [11, 13],
      [2, 29],
    ] as const) {
      expect(run(from, rows)).toEqual(all.slice(from * columns, (from + rows) * columns));
    }
  });

  test("NaN and infinity pass, ReLU does not hide them, neighbours stay clean", () => {
    const a = new Float32Array([NaN, 1, Infinity, 1, 1, 1]);
    const b = new Float32Array([1, -2, 1, -2]);
    const c = new Float32Array(6);
    const shape = { aRow: 2, aColumn: 1, bRow: 2, bColumn: 1, cRow: 2, bias: null };
    const size = { rows: 3, columns: 2, depth: 2, reluColumns: 2, accumulate: false };
    make().matrixProduct({ a, b, c, ...shape, ...size });
    expect([...c]).toEqual([NaN, NaN, Infinity, 0, 2, 0]);
  });

  test("ReLU backward and the bias gradient", () => {
    for (const columns of sizes) {
      for (const relu of [true, false]) {
        const rows = (columns % 5) + 1;
        const row = columns + 2;
        const inputs = [values(rows * row, 1), values(rows * row, 2), values(columns, 3)];
        same(make(), inputs, (set, [output, gradient, biasGradient]) =>
          set.reluBackward({
            output: output!,
            outputRow: row,
            gradient: gradient!,
            gradientRow: row,
            biasGradient: biasGradient!,
            rows,
            columns,
            relu,
          }),
        );
      }
    }
  });
}

function rowTests(make: () => KernelSet): void {
  test("dot of one query with many rows, and back", () => {
    for (const width of sizes) {
      const count = (width * 3) % 11;
      const row = width + 1;
      const rows = values(count * row, 7);
      same(make(), [values(width, 8), rows, values(count, 9)], (set, [query, rows, out]) =>
        set.dotRows({ query: query!, rows: rows!, row, count, width, out: out! }),
      );
      const inputs = [values(width, 8), rows, values(count, 9), values(width, 1), rows];
      same(make(), inputs, (set, [query, rows, outGradient, queryGradient, rowsGradient]) =>
        set.dotRowsBackward({
          query: query!,
          rows: rows!,
          row,
          count,
          width,
          outGradient: outGradient!,
          queryGradient: queryGradient!,
          rowsGradient: rowsGradient!,
        }),
      );
    }
  });

  test("normalise clips, and lets NaN through", () => {
    for (const width of sizes) {
      const raw = values(3 * width, 10, 20);
      raw[0] = NaN;
      const inputs = [raw, values(width, 11), values(width, 12), new Float32Array(3 * width + 9)];
      same(make(), inputs, (set, [raw, mean, scale, out]) =>
        set.normalise({
          values: raw!,
          mean: mean!,
          scale: scale!,
          clip: 4,
          rows: 3,
          width,
          out: out!,
          outRow: width + 3,
        }),
      );
    }
  });

  test("sigmoid from end to end", () => {
    const edges = [0, -0, 1e-40, 90, -90, 1e30, -1e30, Infinity, -Infinity, NaN];
    const input = Float32Array.from([...edges, ...values(37, 13, 30)]);
    same(make(), [input, new Float32Array(input.length)], (set, [input, out]) =>
      set.sigmoid(input!, input!.length, out!),
    );
  });
}

function gateTests(make: () => KernelSet): void {
  test("gates and mixing, forward and backward", () => {
    for (const width of [1, 7, 16, 19, 64]) {
      for (const [heads, experts] of [
        [1, 1],
        [5, 4],
        [3, 7],
        [2, 17],
      ] as const) {
        const rows = 5;
        const stride = width + 1;
        const shape = {
          rows,
          heads,
          experts,
          width,
          logitsRow: heads * experts + 2,
          expertsRow: experts * stride,
          expertStride: stride,
          mixedHead: rows * (width + 2),
          mixedRow: width + 2,
        };
        const logits = values(rows * shape.logitsRow, 14, 60);
        const expert = values(rows * shape.expertsRow, 15);
        const gates = new Float32Array(rows * heads * experts);
        const mixed = values(heads * shape.mixedHead, 16);
        same(make(), [logits, expert, gates, mixed], (set, [logits, experts, gates, mixed]) =>
          set.gateMix(shape, {
            logits: logits!,
            experts: experts!,
            gates: gates!,
            mixed: mixed!,
          }),
        );
        gates.set(values(gates.length, 17).map(Math.abs));
        same(make(), [gates, expert, mixed, logits, expert.slice()], (set, all) =>
          set.gateMixBackward(shape, {
            gates: all[0]!,
            experts: all[1]!,
            mixedGradient: all[2]!,
            logitsGradient: all[3]!,
            expertsGradient: all[4]!,
          }),
        );
      }
    }
  });
}

function optimizerTests(make: () => KernelSet): void {
  test("Adam, Adagrad and the sum of squares", () => {
    for (const count of [0, ...sizes, 5000]) {
      const positive = values(count, 20).map(Math.abs);
      const four = [values(count, 18), values(count, 19), values(count, 21), positive];
      same(make(), four, (set, [weights, gradients, first, second]) =>
        set.adam({
          weights: weights!,
          gradients: gradients!,
          first: first!,
          second: second!,
          count,
          step: 3,
          learningRate: 0.01,
          beta1: 0.9,
          beta2: 0.999,
          epsilon: 1e-8,
          gradientScale: 0.5,
        }),
      );
      same(make(), [four[0]!, four[1]!, positive], (set, [weights, gradients, sums]) =>
        set.adagrad({
          weights: weights!,
          gradients: gradients!,
          sums: sums!,
          count,
          learningRate: 0.1,
          epsilon: 1e-6,
          gradientScale: 2,
        }),
      );
      const wanted = referenceKernels.squareSum(positive, count);
      expect(Math.abs(make().squareSum(positive, count) - wanted)).toBeLessThan(1e-3);
    }
  });

  // A share of 1e-5 is far under what the comparison above lets pass, and yet lost in every step.
  test("Adam's moments take in what their betas leave", () => {
    const one = () => new Float32Array(1);
    const [first, second, gradients] = [one(), one(), Float32Array.of(1)];
    make().adam({
      ...{ weights: one(), gradients, first, second, count: 1, step: 1 },
      ...{ learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, gradientScale: 1 },
    });
    expect([first[0]!, second[0]!]).toEqual([Math.fround(0.1), Math.fround(0.001)]);
  });
}

function lossTests(make: () => KernelSet): void {
  test("losses and their gradients, with extreme logits and unknown labels", () => {
    const logits = Float32Array.from([0, 40, -40, 88, -88, ...values(20, 22, 6)]);
    const count = logits.length;
    const given = values(count, 23, 6);
    const labels = Float32Array.from({ length: count }, (_, i) => (i % 5 === 4 ? NaN : i % 2));
    const all = [logits, labels, values(count, 24).map(Math.abs), given];
    const outs = [0, 1, 2].map(() => new Float32Array(count));
    const step = (c: Float32Array[]) => ({
      values: c[0]!,
      labels: c[1]!,
      weights: c[2]!,
      count,
      losses: c[4]!,
      gradients: c[5]!,
      givenValues: c[3]!,
      givenGradients: c[6]!,
    });
    same(make(), [...all, ...outs], (set, c) => set.binaryCrossEntropy(step(c)));
    same(make(), [...all, ...outs], (set, c) => set.productCrossEntropy(step(c)));
    same(make(), [...all, ...outs], (set, c) => set.smoothL1(step(c), 0.5));
  });
}

function topKTests(make: () => KernelSet): void {
  test("top-k: best first, ties by index, non-finite last", () => {
    const scores = Float32Array.from([2, NaN, 5, -Infinity, 5, -1, Infinity, 2, 0]);
    const out = new Uint32Array(9);
    expect(make().topK(scores, 9, 9, out)).toBe(9);
    expect([...out]).toEqual([2, 4, 0, 7, 8, 5, 1, 3, 6]);
    expect(make().topK(scores, 9, 0, out)).toBe(0);
    expect(make().topK(scores, 3, 20, out)).toBe(3);
    expect([...out.subarray(0, 3)]).toEqual([2, 0, 1]);
    const many = values(700, 25).map((x) => Math.round(x * 50));
    for (const k of [1, 20, 699]) {
      const found = new Uint32Array(k);
      const wanted = new Uint32Array(k);
      make().topK(many, 700, k, found);
      referenceKernels.topK(many, 700, k, wanted);
      expect(found).toEqual(wanted);
    }
  });
}

/** Lays a mixture out one part after another, as any caller may. */
export function testShape(widths: {
  inputs: readonly [number, number, number, number];
  heads: number;
  experts: number;
  expertWidths: readonly number[];
  towerWidths: readonly number[];
}): MmoeShape {
  const { heads, experts, expertWidths, towerWidths } = widths;
  const [userDense, userVector, itemDense, itemVector] = widths.inputs;
  let floats = 0;
  const take = (count: number) => {
    floats += padded(count);
    return floats - padded(count);
  };
  const columns = experts * padded(expertWidths[0]!) + padded(heads * experts + heads);
  const shape = {
    userDense,
    userVector,
    itemDense,
    itemVector,
    heads,
    experts,
    expertWidths,
    towerWidths,
    userMean: take(userDense),
    userScale: take(userDense),
    itemMean: take(itemDense),
    itemScale: take(itemDense),
    layerOne: take((userDense + userVector + itemDense + itemVector) * columns),
    layerOneBias: take(columns),
    expertOffsets: expertWidths.map((width, l) =>
      l === 0 ? 0 : take(experts * (expertWidths[l - 1]! + 1) * padded(width)),
    ),
    towerOffsets: towerWidths.map((width, l) =>
      take(heads * ((towerWidths[l - 1] ?? expertWidths.at(-1)!) + 1) * padded(width)),
    ),
    outputOffset: take(heads * (padded(towerWidths.at(-1) ?? expertWidths.at(-1)!) + 16)),
    floats: 0,
    secondsHeads: 1 << (heads - 1),
  };
  const whole = { ...shape, floats };
  return { ...whole, packed: packMmoeShape(whole) };
}

const mmoeShapes = [
  { inputs: [3, 2, 5, 1], heads: 1, experts: 1, expertWidths: [7], towerWidths: [] },
  { inputs: [17, 0, 9, 4], heads: 2, experts: 3, expertWidths: [20, 9], towerWidths: [5] },
  { inputs: [6, 4, 0, 8], heads: 5, experts: 4, expertWidths: [16, 12, 33], towerWidths: [18, 4] },
] as const;

function mmoeTests(make: () => KernelSet): void {
  for (const [index, widths] of mmoeShapes.entries()) {
    test(`the fused score equals the plain one, shape ${index}`, () => {
      const shape = testShape(widths);
      const weights = values(shape.floats, 30 + index, 0.4);
      for (const [rows, userRows] of [
        [0, 1],
        [1, 1],
        [13, 1],
        [13, 13],
        [171, 1],
      ] as const) {
        for (const logits of [true, false]) {
          const inputs = [
            values(userRows * shape.userDense, 31, 3),
            values(userRows * shape.userVector, 32),
            values(rows * shape.itemDense, 33, 3),
            values(rows * shape.itemVector, 34),
            new Float32Array(rows * shape.heads),
          ];
          same(make(), [weights, ...inputs], (set, c) =>
            set.mmoeScore(shape, {
              weights: c[0]!,
              userDense: c[1]!,
              userVector: c[2]!,
              userRows,
              itemDense: c[3]!,
              itemVector: c[4]!,
              rows,
              logits,
              out: c[5]!,
              workspace: new Float32Array(mmoeWorkspace(shape)),
            }),
          );
        }
      }
    });
  }
}

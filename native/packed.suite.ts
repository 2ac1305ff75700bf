import { describe, expect, test } from "bun:test";
import type { KernelSet, MmoeScore, MmoeShape } from "./kernel-set.ts";
import { mmoeWorkspace } from "./kernel-set.ts";
import { testShape, values } from "./kernels.suite.ts";
import { mmoeSlotFloats } from "./packed-shape.ts";
import { referenceKernels } from "./reference/kernels.ts";

const shapes = [
  { inputs: [3, 2, 5, 1], heads: 1, experts: 1, expertWidths: [7], towerWidths: [] },
  { inputs: [17, 0, 9, 4], heads: 2, experts: 3, expertWidths: [20, 9], towerWidths: [5] },
  { inputs: [6, 4, 0, 8], heads: 5, experts: 4, expertWidths: [16, 12, 33], towerWidths: [18, 4] },
  { inputs: [0, 5, 1, 0], heads: 3, experts: 4, expertWidths: [33], towerWidths: [65] },
  { inputs: [1, 1, 43, 16], heads: 5, experts: 4, expertWidths: [64, 32], towerWidths: [16] },
] as const;

/** A slot that starts one float past its buffer's start: nothing to align on. */
function slotOf(shape: MmoeShape, weights: Float32Array): Float32Array {
  const slot = new Float32Array(new ArrayBuffer(4 * mmoeSlotFloats(shape) + 4), 4);
  // What the packed form pads must be written, not found.
  slot.fill(Number.NaN);
  slot.set(weights.subarray(0, shape.floats));
  return slot;
}

function packedSlot(set: KernelSet, shape: MmoeShape, weights: Float32Array): Float32Array {
  const slot = slotOf(shape, weights);
  set.mmoePack(shape, slot);
  return slot;
}

function inputsOf(shape: MmoeShape, rows: number, scale = 1) {
  return {
    userDense: values(shape.userDense, 31, 3 * scale),
    userVector: values(shape.userVector, 32, scale),
    itemDense: values(rows * shape.itemDense, 33, 3 * scale),
    itemVector: values(rows * shape.itemVector, 34, scale),
  };
}

type Inputs = ReturnType<typeof inputsOf>;

function score(set: KernelSet, shape: MmoeShape, step: Partial<MmoeScore> & Inputs) {
  const rows = step.rows ?? step.itemDense.length / shape.itemDense;
  const out = new Float32Array(rows * shape.heads);
  const workspace = new Float32Array(mmoeWorkspace(shape)).fill(Number.NaN);
  const weights = step.weights ?? new Float32Array(0);
  set.mmoeScorePacked(shape, { logits: true, ...step, weights, userRows: 1, rows, out, workspace });
  return out;
}

/** Rounding to bf16 (8 bits) is a step: sums that differ in the last bit may end 2^-8 apart. */
const tolerance = 4e-3;

function near(found: Float32Array, wanted: Float32Array): void {
  expect(found.length).toBe(wanted.length);
  for (let i = 0; i < found.length; i++) {
    const fault = Math.abs(found[i]! - wanted[i]!) / Math.max(1, Math.abs(wanted[i]!));
    if (!(fault <= tolerance)) throw new Error(`at ${i}: ${found[i]}, the twin has ${wanted[i]}`);
  }
}

/** What a set must do that serves by bf16 weights, whoever computes. */
export function packedSuite(name: string, make: () => KernelSet): void {
  describe(`packed kernels ${name}`, () => {
    packTests(make);
    scoreTests(make);
    rowTests(make);
  });
}

function packTests(make: () => KernelSet): void {
  test("packs as the twin does, bit for bit, also what is no plain number", () => {
    for (const widths of shapes) {
      const shape = testShape(widths);
      const weights = values(shape.floats, 40, 0.4);
      const special = [Number.NaN, Infinity, -Infinity, 1e-40, -1e-42, -0, 3.4e38, 1 + 2 ** -8];
      for (let i = 0; i < weights.length; i += 7) weights[i] = special[(i / 7) % 8]!;
      const found = packedSlot(make(), shape, weights);
      const wanted = packedSlot(referenceKernels, shape, weights);
      const bits = (slot: Float32Array) => new Uint32Array(slot.slice().buffer);
      expect(bits(found)).toEqual(bits(wanted));
    }
  });
}

function scoreTests(make: () => KernelSet): void {
  for (const [index, widths] of shapes.entries()) {
    test(`scores as the twin does, shape ${index}`, () => {
      const shape = testShape(widths);
      const weights = packedSlot(make(), shape, values(shape.floats, 30 + index, 0.4));
      for (const rows of [0, 1, 13, 168, 171]) {
        for (const logits of [true, false]) {
          const step = { ...inputsOf(shape, rows), weights, rows, logits };
          near(score(make(), shape, step), score(referenceKernels, shape, step));
        }
      }
    });
  }

  test("is exact where bf16 is: small whole numbers, equal gates", () => {
    for (const widths of shapes) {
      if (widths.experts === 3) continue;
      const shape = testShape(widths);
      const whole = (count: number, seed: number) =>
        values(count, seed).map((x) => Math.trunc(2 * x));
      const weights = whole(shape.floats, 41);
      // Moments that leave inputs as they are; gates that see nothing are all alike.
      weights.fill(0, shape.userMean, shape.layerOne);
      weights.fill(1, shape.userScale, shape.userScale + shape.userDense);
      weights.fill(1, shape.itemScale, shape.itemScale + shape.itemDense);
      const hidden = shape.experts * ((shape.expertWidths[0]! + 15) & ~15);
      const columns = hidden + ((shape.heads * (shape.experts + 1) + 15) & ~15);
      for (let at = shape.layerOne; at <= shape.layerOneBias; at += columns) {
        weights.fill(0, at + hidden, at + hidden + shape.heads * shape.experts);
      }
      const rows = 15;
      const items = {
        itemDense: whole(rows * shape.itemDense, 42),
        itemVector: whole(rows * shape.itemVector, 43),
      };
      const users = {
        userDense: whole(shape.userDense, 44),
        userVector: whole(shape.userVector, 45),
      };
      const slot = packedSlot(make(), shape, weights);
      const step = { ...users, ...items, rows, weights: slot };
      const found = score(make(), shape, step);
      expect(found).toEqual(score(referenceKernels, shape, step));
      const plain = new Float32Array(found.length);
      const workspace = new Float32Array(mmoeWorkspace(shape));
      const rest = { userRows: 1, logits: true, out: plain, workspace };
      referenceKernels.mmoeScore(shape, { ...step, ...rest });
      if (found.every((x) => Math.abs(x) < 128)) expect(found).toEqual(plain);
    }
  });
}

function rowTests(make: () => KernelSet): void {
  const shape = testShape(shapes[4]);
  const weights = values(shape.floats, 46, 0.4);

  test("a row's score does not depend on its neighbours, bit for bit", () => {
    const slot = packedSlot(make(), shape, weights);
    const inputs = inputsOf(shape, 200);
    const all = score(make(), shape, { ...inputs, weights: slot, rows: 200 });
    for (const [from, rows] of [
      [0, 1],
      [167, 2],
      [31, 13],
      [171, 29],
    ] as const) {
      const itemDense = inputs.itemDense.subarray(from * shape.itemDense);
      const itemVector = inputs.itemVector.subarray(from * shape.itemVector);
      const step = { ...inputs, itemDense, itemVector, weights: slot, rows };
      const some = score(make(), shape, step);
      for (let h = 0; h < shape.heads; h++) {
        const wanted = all.subarray(h * 200 + from, h * 200 + from + rows);
        expect(some.subarray(h * rows, (h + 1) * rows)).toEqual(wanted);
      }
    }
  });

  test("what is not finite stays in its row, denormals count as nothing", () => {
    const slot = packedSlot(make(), shape, weights);
    const inputs = inputsOf(shape, 30);
    const clean = score(make(), shape, { ...inputs, weights: slot, rows: 30 });
    inputs.itemDense[3 * shape.itemDense] = Number.NaN;
    inputs.itemVector[17 * shape.itemVector + 2] = Infinity;
    inputs.itemVector[20 * shape.itemVector] = 1e-41;
    const found = score(make(), shape, { ...inputs, weights: slot, rows: 30 });
    for (let h = 0; h < shape.heads; h++) {
      for (let r = 0; r < 30; r++) {
        const value = found[h * 30 + r]!;
        if (r === 3) expect(value).toBeNaN();
        else if (r === 17) expect(Number.isFinite(value)).toBe(false);
        else if (r === 20) expect(Number.isFinite(value)).toBe(true);
        else expect(value).toBe(clean[h * 30 + r]!);
      }
    }
  });

  test("serves within bf16's rounding of the fp32 score", () => {
    const slot = packedSlot(make(), shape, weights);
    const step = { ...inputsOf(shape, 100), weights: slot, rows: 100 };
    const found = score(make(), shape, step);
    const plain = new Float32Array(found.length);
    const workspace = new Float32Array(mmoeWorkspace(shape));
    make().mmoeScore(shape, { ...step, userRows: 1, logits: true, out: plain, workspace });
    const squares = (of: (i: number) => number) =>
      found.reduce((sum, _, i) => sum + of(i) ** 2, 0) / found.length;
    const error = Math.sqrt(squares((i) => found[i]! - plain[i]!));
    expect(error).toBeGreaterThan(0);
    expect(error / Math.sqrt(squares((i) => plain[i]!))).toBeLessThan(2 ** -7);
  });
}

import { describe, expect, test } from "bun:test";
import { mmoeWorkspace } from "./kernel-set.ts";
import { kernelsSuite, testShape, values } from "./kernels.suite.ts";
import { instructionSets, nativeKernels } from "./kernels.ts";
import { packedSuite } from "./packed.suite.ts";
import { mmoeSlotFloats } from "./packed-shape.ts";
import { pleSuite, testPleShape } from "./ple.suite.ts";
import { pleWorkspace } from "./ple-shape.ts";
import { referenceKernels } from "./reference/kernels.ts";

kernelsSuite("twin", () => referenceKernels);
for (const set of instructionSets()) {
  kernelsSuite(set, () => nativeKernels(set));
  pleSuite(set, () => nativeKernels(set));
}
packedSuite("twin", () => referenceKernels);
for (const set of instructionSets()) {
  if (nativeKernels(set).packs) packedSuite(set, () => nativeKernels(set));
}

describe("the binding of the kernels", () => {
  const kernels = nativeKernels();
  const four = new Float32Array(4);
  const product = {
    a: four,
    aRow: 2,
    aColumn: 1,
    b: four,
    bRow: 2,
    bColumn: 1,
    c: new Float32Array(4),
    cRow: 2,
    bias: null,
    rows: 2,
    columns: 2,
    depth: 2,
    reluColumns: 0,
    accumulate: false,
  };

  test("refuses arrays that are too short and strides that overlap", () => {
    kernels.matrixProduct(product);
    const wrong = [
      { rows: 3 },
      { depth: 3 },
      { columns: 3 },
      { cRow: 1 },
      { aRow: -1 },
      { bias: new Float32Array(1) },
      { columns: 17, reluColumns: 3 },
    ];
    for (const change of wrong) {
      expect(() => kernels.matrixProduct({ ...product, ...change })).toThrow();
    }
  });

  test("refuses a model whose parts lie outside its weights", () => {
    const widths = { heads: 2, experts: 2, expertWidths: [8, 8], towerWidths: [4] };
    const shape = testShape({ inputs: [2, 2, 2, 2], ...widths });
    const step = {
      weights: values(shape.floats, 1),
      userDense: four,
      userVector: four,
      userRows: 1,
      itemDense: four,
      itemVector: four,
      rows: 2,
      logits: false,
      out: four,
      workspace: new Float32Array(mmoeWorkspace(shape)),
    };
    kernels.mmoeScore(shape, step);
    const userMean = 16;
    for (let i = 0; i < shape.packed.length - 2; i++) {
      const packed = shape.packed.slice();
      // Layers that this shape does not have are read by nobody.
      if (packed[i] === 0 && i !== userMean) continue;
      packed[i] = 1 << 24;
      expect(() => kernels.mmoeScore({ ...shape, packed }, step)).toThrow();
    }
    expect(() => kernels.mmoeScore(shape, { ...step, workspace: four })).toThrow();
    expect(() => kernels.mmoeScore(shape, { ...step, rows: 3 })).toThrow();
    expect(() => kernels.mmoeScore(shape, { ...step, userRows: 3 })).toThrow();
  });

  test("refuses an extraction whose parts lie outside its weights", () => {
    const shape = testPleShape({
      ...{ inputs: [2, 2, 2, 2], heads: 2, headExperts: 1, sharedExperts: 1, levels: 2 },
      ...{ expertWidths: [8, 8], towerWidths: [4] },
    });
    const step = {
      weights: values(shape.floats, 1),
      ...{ userDense: four, userVector: four, userRows: 1, itemDense: four, itemVector: four },
      ...{ rows: 2, logits: false, out: four },
      workspace: new Float32Array(pleWorkspace(shape)),
    };
    kernels.pleScore(shape, step);
    // [0][0] of the experts' offsets and [0] of the gates' are layer one's: read by nobody.
    const unread = new Set([24, 36]);
    for (let i = 0; i < shape.packed.length - 2; i++) {
      const packed = shape.packed.slice();
      if (packed[i] === 0 && i !== 18) continue;
      if (unread.has(i)) continue;
      packed[i] = 1 << 24;
      const call = () => kernels.pleScore({ ...shape, packed }, step);
      expect(call).toThrow();
    }
    expect(() => kernels.pleScore(shape, { ...step, workspace: four })).toThrow();
    expect(() => kernels.pleScore(shape, { ...step, rows: 3 })).toThrow();
  });

  test("refuses to pack or to score what is not a whole slot, or without bf16", () => {
    const widths = { heads: 2, experts: 2, expertWidths: [8, 8], towerWidths: [4] };
    const shape = testShape({ inputs: [2, 2, 2, 2], ...widths });
    const slot = new Float32Array(mmoeSlotFloats(shape));
    const rest = { userDense: four, userVector: four, itemDense: four, itemVector: four };
    const workspace = new Float32Array(mmoeWorkspace(shape));
    const step = { ...rest, weights: slot, userRows: 1, rows: 2, logits: false, workspace };
    for (const set of instructionSets().map((name) => nativeKernels(name))) {
      const short = slot.subarray(1);
      expect(() => set.mmoePack(shape, short)).toThrow();
      expect(() => set.mmoeScorePacked(shape, { ...step, out: four, weights: short })).toThrow();
      expect(() => set.mmoeScorePacked(shape, { ...step, out: four, userRows: 2 })).toThrow();
      if (set.packs) set.mmoePack(shape, slot);
      else expect(() => set.mmoePack(shape, slot)).toThrow("no packed form");
      if (set.packs) set.mmoeScorePacked(shape, { ...step, out: four });
      else expect(() => set.mmoeScorePacked(shape, { ...step, out: four })).toThrow();
    }
  });

  test("knows its sets and refuses one that does not exist", () => {
    expect(instructionSets()).toContain(kernels.name === "twin" ? "base" : kernels.name);
    expect(() => nativeKernels("avx9000")).toThrow("not among");
  });
});

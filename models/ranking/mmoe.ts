import { type GateShape, type KernelSet, padded } from "../../native/index.ts";
import { inputGradientOf, weightsGradientOf } from "../layers/dense.ts";
import { DenseStack } from "../layers/dense-stack.ts";
import { columnsFrom, type Matrix, matrix } from "../layers/matrix.ts";
import type { RankerLayout } from "./layout.ts";

/**
 * Multi-gate mixture of experts (Ma et al. 2018) over a batch of rows, forward and backward, with
 * a linear skip from the inputs to each head. Layer one of all experts, gates and skips is one
 * matrix, taken in the halves of user and item in the same order as serving does: both give the
 * same logits bit for bit. With one expert it is a shared bottom.
 */
export class MmoeNetwork {
  /** rowsMax x userInputs and rowsMax x itemInputs: [normalised dense | embedding]. */
  readonly userInput: Matrix;
  readonly itemInput: Matrix;
  /** Gradients by the embedding columns alone, rowsMax x embedding. */
  readonly userVectorGradient: Matrix;
  readonly itemVectorGradient: Matrix;
  /** Head columns of rowsMax rows: logits[h * rowsMax + r]. */
  readonly logits: Float32Array;
  readonly logitsGradient: Float32Array;
  readonly rowsMax: number;
  readonly #kernels: KernelSet;
  readonly #layout: RankerLayout;
  readonly #weights: Float32Array;
  readonly #gradients: Float32Array;
  readonly #first: Matrix;
  readonly #firstGradient: Matrix;
  readonly #firstBlocks: Halves;
  readonly #experts: DenseStack;
  readonly #towers: DenseStack;
  readonly #mixed: Matrix;
  readonly #mixedGradient: Matrix;
  readonly #mixedBlocks: Halves;
  readonly #gates: Float32Array;
  readonly #gateShape: GateShape;

  constructor(options: MmoeNetworkOptions) {
    const { kernels, layout, weights, gradients, rowsMax } = options;
    this.rowsMax = rowsMax;
    this.#kernels = kernels;
    this.#layout = layout;
    this.#weights = weights;
    this.#gradients = gradients;
    const { heads, experts, expertWidths, towerWidths } = layout;
    const last = expertWidths.at(-1)!;
    this.userInput = matrix(rowsMax, layout.userInputs);
    this.itemInput = matrix(rowsMax, layout.itemInputs);
    this.userVectorGradient = matrix(rowsMax, layout.userVector);
    this.itemVectorGradient = matrix(rowsMax, layout.itemVector);
    this.logits = new Float32Array(heads * rowsMax);
    this.logitsGradient = new Float32Array(heads * rowsMax);
    this.#first = matrix(rowsMax, layout.columns);
    this.#firstGradient = matrix(rowsMax, layout.columns);
    this.#firstBlocks = halves(this.#first, this.#firstGradient, experts, expertWidths[0]!);
    this.#mixed = matrix(rowsMax, heads * padded(last));
    this.#mixedGradient = matrix(rowsMax, heads * padded(last));
    this.#mixedBlocks = halves(this.#mixed, this.#mixedGradient, heads, last);
    this.#gates = new Float32Array(rowsMax * heads * experts);
    const stack = { kernels, weights, gradients, rowsMax };
    this.#experts = new DenseStack({
      ...stack,
      blocks: experts,
      inputs: expertWidths[0]!,
      widths: expertWidths.slice(1),
      offsets: layout.expertOffsets.slice(1),
    });
    this.#towers = new DenseStack({
      ...stack,
      blocks: heads,
      inputs: last,
      widths: towerWidths,
      offsets: layout.towerOffsets,
    });
    this.#gateShape = gateShapeOf(layout, this.#expertBlocks().values[0]!.row);
  }

  /** The experts' outputs: of their stack, or of layer one where they have no other. */
  #expertBlocks(): Halves {
    if (this.#layout.expertWidths.length === 1) return this.#firstBlocks;
    return { values: this.#experts.outputs, gradients: this.#experts.outputGradients };
  }

  #towerBlocks(): Halves {
    if (this.#layout.towerWidths.length === 0) return this.#mixedBlocks;
    return { values: this.#towers.outputs, gradients: this.#towers.outputGradients };
  }

  /** Fills `logits` from `userInput` and `itemInput`. */
  forward(rows: number): void {
    this.#layerOne(rows);
    this.#experts.forward(this.#firstBlocks.values, rows);
    this.#gateShape.rows = rows;
    this.#kernels.gateMix(this.#gateShape, {
      logits: this.#first.values.subarray(this.#layout.hidden),
      experts: this.#expertBlocks().values[0]!.values,
      gates: this.#gates,
      mixed: this.#mixed.values,
    });
    this.#towers.forward(this.#mixedBlocks.values, rows);
    for (let h = 0; h < this.#layout.heads; h++) this.#output(h, rows);
  }

  #layerOne(rows: number): void {
    const { columns, userInputs, itemInputs, hidden, layerOne, layerOneBias } = this.#layout;
    const shared = {
      aColumn: 1,
      bRow: columns,
      bColumn: 1,
      c: this.#first.values,
      cRow: columns,
      rows,
      columns,
    };
    this.#kernels.matrixProduct({
      ...shared,
      a: this.userInput.values,
      aRow: userInputs,
      b: this.#weights.subarray(layerOne, layerOneBias),
      bias: this.#weights.subarray(layerOneBias),
      depth: userInputs,
      reluColumns: 0,
      accumulate: false,
    });
    this.#kernels.matrixProduct({
      ...shared,
      a: this.itemInput.values,
      aRow: itemInputs,
      b: this.#weights.subarray(layerOne + userInputs * columns, layerOneBias),
      bias: null,
      depth: itemInputs,
      reluColumns: hidden,
      accumulate: true,
    });
  }

  #outputPlace(h: number) {
    const { towerWidths, expertWidths, outputOffset, hidden, heads, experts } = this.#layout;
    const width = towerWidths.at(-1) ?? expertWidths.at(-1)!;
    const at = outputOffset + h * (padded(width) + 16);
    return { width, at, bias: at + padded(width), skip: hidden + heads * experts + h };
  }

  #output(h: number, rows: number): void {
    const { width, at, bias, skip } = this.#outputPlace(h);
    const y = this.#towerBlocks().values[h]!;
    const out = this.logits.subarray(h * this.rowsMax, h * this.rowsMax + rows);
    const query = this.#weights.subarray(at, at + width);
    this.#kernels.dotRows({ query, rows: y.values, row: y.row, count: rows, width, out });
    const { values, row } = this.#first;
    const shift = this.#weights[bias]!;
    // Two roundings in the order of the fused kernel: it adds bias and skip together first.
    for (let r = 0; r < rows; r++) out[r]! += Math.fround(shift + values[r * row + skip]!);
  }

  /** From `logitsGradient`: all parameter gradients, and those of the embedding columns. */
  backward(rows: number): void {
    for (let h = 0; h < this.#layout.heads; h++) this.#outputBackward(h, rows);
    this.#towers.backward(this.#mixedBlocks.values, this.#mixedBlocks.gradients, rows);
    const experts = this.#expertBlocks();
    this.#gateShape.rows = rows;
    this.#kernels.gateMixBackward(this.#gateShape, {
      gates: this.#gates,
      experts: experts.values[0]!.values,
      mixedGradient: this.#mixedGradient.values,
      logitsGradient: this.#firstGradient.values.subarray(this.#layout.hidden),
      expertsGradient: experts.gradients[0]!.values,
    });
    this.#experts.backward(this.#firstBlocks.values, this.#firstBlocks.gradients, rows);
    this.#layerOneBackward(rows);
  }

  #outputBackward(h: number, rows: number): void {
    const { width, at, bias, skip } = this.#outputPlace(h);
    const blocks = this.#towerBlocks();
    const y = blocks.values[h]!;
    const outGradient = this.logitsGradient.subarray(h * this.rowsMax, h * this.rowsMax + rows);
    this.#kernels.dotRowsBackward({
      query: this.#weights.subarray(at, at + width),
      rows: y.values,
      row: y.row,
      count: rows,
      width,
      outGradient,
      queryGradient: this.#gradients.subarray(at, at + width),
      rowsGradient: blocks.gradients[h]!.values,
    });
    const { values, row } = this.#firstGradient;
    let total = 0;
    for (let r = 0; r < rows; r++) {
      total += outGradient[r]!;
      values[r * row + skip] = outGradient[r]!;
    }
    this.#gradients[bias] = total;
  }

  #layerOneBackward(rows: number): void {
    const { columns, hidden, layerOneBias } = this.#layout;
    for (const [from, width, relu] of [
      [0, hidden, true],
      [hidden, columns - hidden, false],
    ] as const) {
      this.#kernels.reluBackward({
        output: this.#first.values.subarray(from),
        outputRow: columns,
        gradient: this.#firstGradient.values.subarray(from),
        gradientRow: columns,
        biasGradient: this.#gradients.subarray(layerOneBias + from, layerOneBias + from + width),
        rows,
        columns: width,
        relu,
      });
    }
    const { userInputs, itemInputs, userVector, itemVector } = this.#layout;
    const user = { x: this.userInput, inputs: userInputs, vector: userVector, from: 0 };
    const item = { x: this.itemInput, inputs: itemInputs, vector: itemVector, from: userInputs };
    this.#halfBackward({ ...user, dx: this.userVectorGradient }, rows);
    this.#halfBackward({ ...item, dx: this.itemVectorGradient }, rows);
  }

  #halfBackward(half: Half, rows: number): void {
    const { columns, layerOne } = this.#layout;
    const dy = this.#firstGradient;
    const at = layerOne + half.from * columns;
    const out = { values: this.#gradients.subarray(at), row: columns };
    weightsGradientOf(this.#kernels, {
      x: half.x,
      dy,
      out,
      inputs: half.inputs,
      outputs: columns,
      rows,
    });
    if (half.vector === 0) return;
    // Only embeddings are learned below layer one: dense inputs need no gradient.
    const vectorAt = at + (half.inputs - half.vector) * columns;
    inputGradientOf(this.#kernels, {
      dy,
      weights: { values: this.#weights.subarray(vectorAt), row: columns },
      dx: half.dx,
      inputs: half.vector,
      outputs: columns,
      rows,
    });
  }
}

export interface MmoeNetworkOptions {
  readonly kernels: KernelSet;
  readonly layout: RankerLayout;
  /** Both of layout.floats floats; kept, not copied. */
  readonly weights: Float32Array;
  readonly gradients: Float32Array;
  readonly rowsMax: number;
}

interface Half {
  readonly x: Matrix;
  readonly inputs: number;
  readonly vector: number;
  /** First row of layer one. */
  readonly from: number;
  readonly dx: Matrix;
}

/** Blocks of values and of their gradients, side by side in rows. */
interface Halves {
  readonly values: readonly Matrix[];
  readonly gradients: readonly Matrix[];
}

function halves(values: Matrix, gradients: Matrix, blocks: number, width: number): Halves {
  const split = (of: Matrix) =>
    Array.from({ length: blocks }, (_, b) => columnsFrom(of, b * padded(width)));
  return { values: split(values), gradients: split(gradients) };
}

function gateShapeOf(layout: RankerLayout, expertsRow: number): GateShape {
  const width = padded(layout.expertWidths.at(-1)!);
  return {
    rows: 0,
    heads: layout.heads,
    experts: layout.experts,
    width,
    logitsRow: layout.columns,
    expertsRow,
    expertStride: width,
    mixedHead: width,
    mixedRow: layout.heads * width,
  };
}

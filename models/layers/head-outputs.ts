import { padded } from "../../native/index.ts";
import { DenseStack } from "./dense-stack.ts";
import type { NetworkParts } from "./input-layer.ts";
import type { Blocks, Matrix } from "./matrix.ts";

/** Places and sizes of towers and outputs in the flat parameters. */
export interface OutputLayout {
  readonly heads: number;
  readonly expertWidths: readonly number[];
  readonly towerWidths: readonly number[];
  readonly towerOffsets: readonly number[];
  readonly outputOffset: number;
  /** Column of layer one that holds the first head's linear skip; one a head follow. */
  readonly firstSkip: number;
  /** False: the skips are zero, and stay so. */
  readonly skip: boolean;
}

/** A tower for each head, its output, and the linear skip from the inputs: logits and back. */
export class HeadOutputs {
  /** Head columns of rowsMax rows: logits[h * rowsMax + r]. */
  readonly logits: Float32Array;
  readonly logitsGradient: Float32Array;
  readonly #parts: NetworkParts;
  readonly #layout: OutputLayout;
  readonly #mixed: Blocks;
  readonly #first: { readonly values: Matrix; readonly gradients: Matrix };
  readonly #towers: DenseStack;

  /** `mixed`: a block a head enters the towers; `first`: layer one, which has the skips. */
  constructor(
    parts: NetworkParts,
    layout: OutputLayout,
    from: {
      readonly mixed: Blocks;
      readonly first: { readonly values: Matrix; readonly gradients: Matrix };
    },
  ) {
    const { heads, expertWidths, towerWidths, towerOffsets } = layout;
    this.#parts = parts;
    this.#layout = layout;
    this.#mixed = from.mixed;
    this.#first = from.first;
    this.logits = new Float32Array(heads * parts.rowsMax);
    this.logitsGradient = new Float32Array(heads * parts.rowsMax);
    this.#towers = new DenseStack({
      ...parts,
      blocks: heads,
      inputs: expertWidths.at(-1)!,
      widths: towerWidths,
      offsets: towerOffsets,
    });
  }

  forward(rows: number): void {
    this.#towers.forward(this.#mixed.values, rows);
    for (let h = 0; h < this.#layout.heads; h++) this.#output(h, rows);
  }

  /** From `logitsGradient`: parameters, `mixed.gradients`, and the skips' of layer one. */
  backward(rows: number): void {
    for (let h = 0; h < this.#layout.heads; h++) this.#outputBackward(h, rows);
    this.#towers.backward(this.#mixed, rows);
  }

  #place(h: number) {
    const { towerWidths, expertWidths, outputOffset, firstSkip } = this.#layout;
    const width = towerWidths.at(-1) ?? expertWidths.at(-1)!;
    const at = outputOffset + h * (padded(width) + 16);
    return { width, at, bias: at + padded(width), skip: firstSkip + h };
  }

  #column(of: Float32Array, h: number, rows: number): Float32Array {
    return of.subarray(h * this.#parts.rowsMax, h * this.#parts.rowsMax + rows);
  }

  #output(h: number, rows: number): void {
    const { kernels, weights } = this.#parts;
    const { width, at, bias, skip } = this.#place(h);
    const y = this.#towers.outputsOr(this.#mixed).values[h]!;
    const out = this.#column(this.logits, h, rows);
    const query = weights.subarray(at, at + width);
    kernels.dotRows({ query, rows: y.values, row: y.row, count: rows, width, out });
    const { values, row } = this.#first.values;
    const shift = weights[bias]!;
    // Two roundings in the order of the fused kernel: it adds bias and skip together first.
    for (let r = 0; r < rows; r++) out[r]! += Math.fround(shift + values[r * row + skip]!);
  }

  #outputBackward(h: number, rows: number): void {
    const { kernels, weights, gradients } = this.#parts;
    const { width, at, bias, skip } = this.#place(h);
    const blocks = this.#towers.outputsOr(this.#mixed);
    const y = blocks.values[h]!;
    const outGradient = this.#column(this.logitsGradient, h, rows);
    kernels.dotRowsBackward({
      query: weights.subarray(at, at + width),
      rows: y.values,
      row: y.row,
      count: rows,
      width,
      outGradient,
      queryGradient: gradients.subarray(at, at + width),
      rowsGradient: blocks.gradients[h]!.values,
    });
    const { values, row } = this.#first.gradients;
    let total = 0;
    for (let r = 0; r < rows; r++) {
      total += outGradient[r]!;
      if (this.#layout.skip) values[r * row + skip] = outGradient[r]!;
    }
    gradients[bias] = total;
  }
}

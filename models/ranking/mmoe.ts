import { type GateShape, padded } from "../../native/index.ts";
import { DenseStack } from "../layers/dense-stack.ts";
import { HeadOutputs } from "../layers/head-outputs.ts";
import { InputLayer, type NetworkParts } from "../layers/input-layer.ts";
import { type Blocks, blocksOf, type Matrix, matrix } from "../layers/matrix.ts";
import type { MmoeLayout } from "./layout.ts";
import type { RankerNetwork } from "./network.ts";

/**
 * Multi-gate mixture of experts (Ma et al. 2018) over a batch of rows, forward and backward, with
 * a linear skip from the inputs to each head. With one expert it is a shared bottom.
 */
export class MmoeNetwork implements RankerNetwork {
  readonly userInput: Matrix;
  readonly itemInput: Matrix;
  readonly userVectorGradient: Matrix;
  readonly itemVectorGradient: Matrix;
  readonly logits: Float32Array;
  readonly logitsGradient: Float32Array;
  readonly rowsMax: number;
  readonly #parts: NetworkParts;
  readonly #layout: MmoeLayout;
  readonly #input: InputLayer;
  /** Layer one's experts, the experts' outputs, and a block a head of their mixture. */
  readonly #first: Blocks;
  readonly #experts: DenseStack;
  readonly #expertOutputs: Blocks;
  readonly #mixed: Matrix;
  readonly #mixedGradient: Matrix;
  readonly #gates: Float32Array;
  readonly #gateShape: GateShape;
  readonly #outputs: HeadOutputs;

  constructor(parts: NetworkParts, layout: MmoeLayout) {
    const { heads, experts, expertWidths } = layout;
    const { rowsMax } = parts;
    this.#parts = parts;
    this.#layout = layout;
    this.rowsMax = rowsMax;
    this.#input = new InputLayer(parts, layout);
    const { values, gradients } = this.#input;
    this.#first = blocksOf(values, gradients, experts, expertWidths[0]!);
    this.#experts = new DenseStack({
      ...parts,
      blocks: experts,
      inputs: expertWidths[0]!,
      widths: expertWidths.slice(1),
      offsets: layout.expertOffsets.slice(1),
    });
    this.#expertOutputs = this.#experts.outputsOr(this.#first);
    const last = expertWidths.at(-1)!;
    this.#mixed = matrix(rowsMax, heads * padded(last));
    this.#mixedGradient = matrix(rowsMax, heads * padded(last));
    this.#gates = new Float32Array(rowsMax * heads * experts);
    this.#gateShape = gateShapeOf(layout, this.#expertOutputs.values[0]!.row);
    const mixed = blocksOf(this.#mixed, this.#mixedGradient, heads, last);
    this.#outputs = new HeadOutputs(parts, layout, { mixed, first: { values, gradients } });
    this.userInput = this.#input.userInput;
    this.itemInput = this.#input.itemInput;
    this.userVectorGradient = this.#input.userVectorGradient;
    this.itemVectorGradient = this.#input.itemVectorGradient;
    this.logits = this.#outputs.logits;
    this.logitsGradient = this.#outputs.logitsGradient;
  }

  forward(rows: number): void {
    this.#input.forward(rows);
    this.#experts.forward(this.#first.values, rows);
    this.#gateShape.rows = rows;
    this.#parts.kernels.gateMix(this.#gateShape, {
      logits: this.#input.values.values.subarray(this.#layout.hidden),
      experts: this.#expertOutputs.values[0]!.values,
      gates: this.#gates,
      mixed: this.#mixed.values,
    });
    this.#outputs.forward(rows);
  }

  backward(rows: number): void {
    this.#outputs.backward(rows);
    this.#gateShape.rows = rows;
    this.#parts.kernels.gateMixBackward(this.#gateShape, {
      gates: this.#gates,
      experts: this.#expertOutputs.values[0]!.values,
      mixedGradient: this.#mixedGradient.values,
      logitsGradient: this.#input.gradients.values.subarray(this.#layout.hidden),
      expertsGradient: this.#expertOutputs.gradients[0]!.values,
    });
    this.#experts.backward(this.#first, rows);
    this.#input.backward(rows);
  }
}

function gateShapeOf(layout: MmoeLayout, expertsRow: number): GateShape {
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

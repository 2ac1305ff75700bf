import {
  type ExtractionShape,
  extractionSizes,
  type LevelSizes,
  padded,
} from "../../native/index.ts";
import { DenseLayer } from "../layers/dense.ts";
import { DenseStack, parametersAt } from "../layers/dense-stack.ts";
import { HeadOutputs } from "../layers/head-outputs.ts";
import { InputLayer, type NetworkParts } from "../layers/input-layer.ts";
import { type Blocks, blocksOf, columnsFrom, type Matrix, matrix } from "../layers/matrix.ts";
import type { PleLayout } from "./layout.ts";
import type { RankerNetwork } from "./network.ts";

/** Gate logits of rows, and their gradients. */
interface Logits {
  readonly values: Matrix;
  readonly gradients: Matrix;
}

/** One extraction level after its logits: experts, gates, and a mixture for each gate. */
class Extraction {
  readonly mixed: Blocks;
  readonly #parts: NetworkParts;
  readonly #shape: ExtractionShape;
  readonly #experts: Blocks;
  readonly #logits: Logits;
  readonly #gates: Float32Array;
  readonly #mixedGradient: Matrix;

  constructor(
    parts: NetworkParts,
    layout: PleLayout,
    level: { readonly sizes: LevelSizes; readonly experts: Blocks; readonly logits: Logits },
  ) {
    const { sizes, experts, logits } = level;
    const last = layout.expertWidths.at(-1)!;
    const row = sizes.gates * padded(last);
    const mixed = matrix(parts.rowsMax, row);
    this.#parts = parts;
    this.#experts = experts;
    this.#logits = logits;
    this.#gates = new Float32Array(parts.rowsMax * sizes.logits);
    this.#mixedGradient = matrix(parts.rowsMax, row);
    this.mixed = blocksOf(mixed, this.#mixedGradient, sizes.gates, last);
    this.#shape = {
      rows: 0,
      heads: layout.heads,
      headExperts: layout.headExperts,
      sharedExperts: layout.sharedExperts,
      sharedGate: sizes.gates > layout.heads,
      width: padded(last),
      logitsRow: logits.values.row,
      expertsRow: experts.values[0]!.row,
      expertStride: padded(last),
      mixedGate: padded(last),
      mixedRow: row,
    };
  }

  forward(rows: number): void {
    this.#shape.rows = rows;
    this.#parts.kernels.extractionMix(this.#shape, {
      logits: this.#logits.values.values,
      experts: this.#experts.values[0]!.values,
      gates: this.#gates,
      mixed: this.mixed.values[0]!.values,
    });
  }

  /** Zeros the mixtures' gradients: the level above adds to them. */
  clear(rows: number): void {
    this.#mixedGradient.values.fill(0, 0, rows * this.#mixedGradient.row);
  }

  /** From the mixtures' gradients: those of the experts' outputs and of the logits. */
  backward(rows: number): void {
    this.#shape.rows = rows;
    this.#parts.kernels.extractionMixBackward(this.#shape, {
      gates: this.#gates,
      experts: this.#experts.values[0]!.values,
      mixedGradient: this.#mixedGradient.values,
      logitsGradient: this.#logits.gradients.values,
      expertsGradient: this.#experts.gradients[0]!.values,
    });
  }
}

/** The experts and gates of a level above the first, which start from mixtures of the one below. */
class Level {
  readonly extraction: Extraction;
  readonly #experts: DenseStack;
  /** For each expert the mixture that it starts from; several share one. */
  readonly #inputs: Blocks;
  readonly #gates: readonly DenseLayer[];
  readonly #below: Extraction;
  readonly #logits: Logits;
  readonly #starts: readonly number[];

  constructor(parts: NetworkParts, layout: PleLayout, at: { level: number; below: Extraction }) {
    const sizes = extractionSizes(layout, at.level);
    const inputs = layout.expertWidths.at(-1)!;
    this.#below = at.below;
    this.#inputs = expertInputs(layout, at.below.mixed);
    this.#experts = new DenseStack({
      ...parts,
      blocks: sizes.experts,
      inputs,
      widths: layout.expertWidths,
      offsets: layout.expertOffsets[at.level]!,
    });
    const logits = () => matrix(parts.rowsMax, sizes.logits);
    this.#logits = { values: logits(), gradients: logits() };
    this.#starts = Array.from({ length: sizes.gates }, (_, g) => g * sizes.seen);
    this.#gates = this.#starts.map((_, g) => {
      const outputs = g < layout.heads ? sizes.seen : sizes.experts;
      const from = layout.gateOffsets[at.level]! + g * (inputs + 1) * padded(sizes.seen);
      const shape = { at: from, inputs, row: padded(outputs), outputs, relu: false };
      return new DenseLayer(parts.kernels, parametersAt(parts, shape));
    });
    const experts = this.#experts.outputsOr(this.#inputs);
    this.extraction = new Extraction(parts, layout, { sizes, experts, logits: this.#logits });
  }

  forward(rows: number): void {
    this.#experts.forward(this.#inputs.values, rows);
    for (const [g, gate] of this.#gates.entries()) {
      const y = columnsFrom(this.#logits.values, this.#starts[g]!);
      gate.forward(this.#below.mixed.values[g]!, y, rows);
    }
    this.extraction.forward(rows);
  }

  backward(rows: number): void {
    this.extraction.backward(rows);
    this.#below.clear(rows);
    this.#experts.backward(this.#inputs, rows, true);
    for (const [g, gate] of this.#gates.entries()) {
      const y = columnsFrom(this.#logits.values, this.#starts[g]!);
      const dy = columnsFrom(this.#logits.gradients, this.#starts[g]!);
      gate.backwardParameters({ x: this.#below.mixed.values[g]!, y, dy }, rows);
      gate.backwardInput({ dy, dx: this.#below.mixed.gradients[g]!, adds: true }, rows);
    }
  }
}

function expertInputs(layout: PleLayout, mixed: Blocks): Blocks {
  const { heads, headExperts, sharedExperts } = layout;
  const count = heads * headExperts + sharedExperts;
  const groups = Array.from({ length: count }, (_, e) =>
    Math.min(heads, Math.floor(e / headExperts)),
  );
  return {
    values: groups.map((g) => mixed.values[g]!),
    gradients: groups.map((g) => mixed.gradients[g]!),
  };
}

/**
 * Progressive layered extraction (Tang et al. 2020) over a batch of rows, forward and backward,
 * with a linear skip from the inputs to each head: levels of experts, some of each head's own and
 * some shared, so that a head need not give up what suits it for what suits the others. With one
 * level it is customized gate control (CGC) of the same paper.
 */
export class PleNetwork implements RankerNetwork {
  readonly userInput: Matrix;
  readonly itemInput: Matrix;
  readonly userVectorGradient: Matrix;
  readonly itemVectorGradient: Matrix;
  readonly logits: Float32Array;
  readonly logitsGradient: Float32Array;
  readonly rowsMax: number;
  readonly #input: InputLayer;
  /** Layer one's experts, and their further layers. */
  readonly #first: Blocks;
  readonly #experts: DenseStack;
  readonly #extraction: Extraction;
  readonly #levels: Level[] = [];
  readonly #outputs: HeadOutputs;

  constructor(parts: NetworkParts, layout: PleLayout) {
    this.rowsMax = parts.rowsMax;
    this.#input = new InputLayer(parts, layout);
    const { values, gradients } = this.#input;
    const sizes = extractionSizes(layout, 0);
    const { hidden, expertWidths, expertOffsets } = layout;
    this.#first = blocksOf(values, gradients, sizes.experts, expertWidths[0]!);
    this.#experts = new DenseStack({
      ...parts,
      blocks: sizes.experts,
      inputs: expertWidths[0]!,
      widths: expertWidths.slice(1),
      offsets: expertOffsets[0]!.slice(1),
    });
    const gates = (of: Matrix) => columnsFrom(of, hidden);
    const logits = { values: gates(values), gradients: gates(gradients) };
    const experts = this.#experts.outputsOr(this.#first);
    this.#extraction = new Extraction(parts, layout, { sizes, experts, logits });
    let below = this.#extraction;
    for (let level = 1; level < layout.levels; level++) {
      this.#levels.push(new Level(parts, layout, { level, below }));
      below = this.#levels.at(-1)!.extraction;
    }
    const first = { values, gradients };
    this.#outputs = new HeadOutputs(parts, layout, { mixed: below.mixed, first });
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
    this.#extraction.forward(rows);
    for (const level of this.#levels) level.forward(rows);
    this.#outputs.forward(rows);
  }

  backward(rows: number): void {
    this.#outputs.backward(rows);
    for (let l = this.#levels.length - 1; l >= 0; l--) this.#levels[l]!.backward(rows);
    this.#extraction.backward(rows);
    this.#experts.backward(this.#first, rows);
    this.#input.backward(rows);
  }
}

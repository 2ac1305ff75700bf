import type { Matrix } from "../layers/matrix.ts";

/** A ranker's network over a batch of rows, forward and backward; its buffers are the caller's. */
export interface RankerNetwork {
  readonly rowsMax: number;
  /** rowsMax x userInputs and rowsMax x itemInputs: [normalised dense | embedding]. */
  readonly userInput: Matrix;
  readonly itemInput: Matrix;
  /** Gradients by the embedding columns alone, rowsMax x embedding. */
  readonly userVectorGradient: Matrix;
  readonly itemVectorGradient: Matrix;
  /** Head columns of rowsMax rows: logits[h * rowsMax + r]. */
  readonly logits: Float32Array;
  readonly logitsGradient: Float32Array;
  /** Fills `logits` from `userInput` and `itemInput`. */
  forward(rows: number): void;
  /** From `logitsGradient`: all parameter gradients, and those of the embedding columns. */
  backward(rows: number): void;
}

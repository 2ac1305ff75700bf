/** What a model says of a batch: columns of `stride` rows per head, as the batch's labels. */
export interface ModelScores {
  /** Sum over heads of each row's weighted loss. */
  readonly losses: Float64Array;
  /** heads x stride: weighted losses; 0 where the label is unknown. */
  readonly headLosses: Float32Array;
  /** heads x stride: rates (with `given`, of the product), log1p seconds for seconds heads. */
  readonly predictions: Float32Array;
}

export function modelScores(heads: number, rowsMax: number): ModelScores {
  return {
    losses: new Float64Array(rowsMax),
    headLosses: new Float32Array(heads * rowsMax),
    predictions: new Float32Array(heads * rowsMax),
  };
}

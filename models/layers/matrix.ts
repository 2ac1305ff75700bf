import { padded } from "../../native/index.ts";

/** Rows of floats inside a larger array: element (r, j) is values[r * row + j]. */
export interface Matrix {
  readonly values: Float32Array;
  readonly row: number;
}

/** A fresh matrix of zeros without gaps. */
export function matrix(rows: number, row: number): Matrix {
  return { values: new Float32Array(rows * row), row };
}

/** The same rows from column `from` on. */
export function columnsFrom(of: Matrix, from: number): Matrix {
  return { values: of.values.subarray(from), row: of.row };
}

/** Values and their gradients, block after block of padded columns in the rows of one matrix. */
export interface Blocks {
  readonly values: readonly Matrix[];
  readonly gradients: readonly Matrix[];
}

/** The first `count` blocks of pad(width) columns of two matrices. */
export function blocksOf(values: Matrix, gradients: Matrix, count: number, width: number): Blocks {
  const split = (of: Matrix) =>
    Array.from({ length: count }, (_, b) => columnsFrom(of, b * padded(width)));
  return { values: split(values), gradients: split(gradients) };
}

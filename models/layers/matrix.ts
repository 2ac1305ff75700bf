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

import { viewOf } from "../core/bytes.ts";
import { RecError } from "../core/errors.ts";

type Column = Float32Array | Float64Array | Uint8Array | Uint32Array;

const magic = 0x52545231;

function bytesOf(column: Column): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
}

/** u32 magic, u32 columns, then per column u32 bytes and its bytes. */
export function packColumns(columns: readonly Column[]): Uint8Array {
  const total = columns.reduce((sum, column) => sum + 4 + column.byteLength, 8);
  const out = new Uint8Array(total);
  const view = viewOf(out);
  view.setUint32(0, magic, true);
  view.setUint32(4, columns.length, true);
  let at = 8;
  for (const column of columns) {
    view.setUint32(at, column.byteLength, true);
    out.set(bytesOf(column), at + 4);
    at += 4 + column.byteLength;
  }
  return out;
}

function mismatch(message: string): RecError {
  return new RecError("REC_TRAINER_STATE", message, {
    fix: "remove the trainer's state, or start with the definition that wrote it",
  });
}

/**
 * The bytes of each column, of which there are `counts[0]`, or another of the counts in an older
 * state; throws REC_TRAINER_STATE where they are not such a state.
 */
export function unpackColumns(bytes: Uint8Array, ...counts: readonly number[]): Uint8Array[] {
  const view = viewOf(bytes);
  const known = bytes.length >= 8 && view.getUint32(0, true) === magic;
  const count = known ? view.getUint32(4, true) : 0;
  if (!counts.includes(count)) throw mismatch("not this trainer's state");
  const found: Uint8Array[] = [];
  let at = 8;
  for (let i = 0; i < count; i++) {
    const length = at + 4 <= bytes.length ? view.getUint32(at, true) : Infinity;
    if (at + 4 + length > bytes.length) throw mismatch("the trainer's state is cut short");
    found.push(bytes.slice(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return found;
}

/** Numbers of a state as a column, in the order in which their object names them. */
export function packNumbers(numbers: Readonly<Record<string, number>>): Float64Array {
  return Float64Array.from(Object.values(numbers));
}

/** Writes what `packNumbers` made of an object with these names into it. */
export function unpackNumbers(column: Float64Array, into: Record<string, number>): void {
  const names = Object.keys(into);
  if (column.length !== names.length) {
    throw mismatch(`a column has ${column.length} numbers where ${names.length} are expected`);
  }
  for (const [i, name] of names.entries()) into[name] = column[i]!;
}

/** Copies bytes into a column of exactly that size. */
export function copyColumn(from: Uint8Array, into: Column): void {
  if (from.byteLength !== into.byteLength) {
    throw mismatch(`a column has ${from.byteLength} bytes where ${into.byteLength} are expected`);
  }
  bytesOf(into).set(from);
}

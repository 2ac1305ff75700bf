import { type MmoeShape, padded, panelled } from "./kernel-set.ts";

/**
 * A layer of the packed form of a mixture's weights, which stands in a slot behind the parameters:
 * for each block a bias a column (layer one's item half has none: the user's half takes its
 * place), then panels of 32 columns. A step of a panel is two rows of the matrix: 16 columns with
 * their two numbers side by side, then the next 16, all bf16, in the space of 32 floats. What pads
 * a bias or a panel is zero.
 */
export interface PackedLayer {
  /** Place in the slot, floats. */
  readonly at: number;
  readonly blocks: number;
  /** Place of the first block's fp32 matrix, its rows, columns and the floats of a row. */
  readonly from: number;
  readonly rows: number;
  readonly columns: number;
  readonly row: number;
  readonly bias: boolean;
}

type Shape = Omit<MmoeShape, "packed">;

class Layers {
  readonly list: PackedLayer[] = [];
  next: number;

  constructor(shape: Shape) {
    this.next = padded(shape.floats);
  }

  add(layer: Omit<PackedLayer, "at">): void {
    this.list.push({ ...layer, at: this.next });
    this.next += layer.blocks * packedBlockFloats(layer);
  }

  /** Dense layers, one after another, of so many blocks. */
  stack(blocks: number, width: number, layers: readonly { columns: number; from: number }[]): void {
    let rows = width;
    for (const { columns, from } of layers) {
      this.add({ blocks, from, rows, columns, row: padded(columns), bias: true });
      rows = columns;
    }
  }
}

function layersOf(shape: Shape): Layers {
  const { heads, experts, expertWidths, towerWidths } = shape;
  const columns = experts * padded(expertWidths[0] ?? 0) + padded(heads * experts + heads);
  const user = shape.userDense + shape.userVector;
  const rows = shape.itemDense + shape.itemVector;
  const layers = new Layers(shape);
  const from = shape.layerOne + user * columns;
  layers.add({ blocks: 1, from, rows, columns, row: columns, bias: false });
  const placed = (widths: readonly number[], offsets: readonly number[]) =>
    widths.map((width, l) => ({ columns: width, from: offsets[l] ?? 0 }));
  const below = expertWidths[0] ?? 0;
  layers.stack(experts, below, placed(expertWidths, shape.expertOffsets).slice(1));
  layers.stack(heads, expertWidths.at(-1) ?? 0, placed(towerWidths, shape.towerOffsets));
  return layers;
}

/** The layers of the packed form in their order. */
export function packedLayers(shape: Shape): readonly PackedLayer[] {
  return layersOf(shape).list;
}

export function packedBlockFloats(layer: Omit<PackedLayer, "at">): number {
  const { rows, columns, bias } = layer;
  return panelled(columns) * (((rows + 1) >> 1) + (bias ? 1 : 0));
}

/** Floats of a slot that holds the parameters and their packed form. */
export function mmoeSlotFloats(shape: Shape): number {
  return layersOf(shape).next;
}

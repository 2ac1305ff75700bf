import { extractionSizes, padded } from "../../../native/index.ts";
import type { PleLayout, RankerLayout } from "../../ranking/layout.ts";

/** A matrix of parameters inside the flat array: element (i, j) at `at + i * row + j`. */
export interface NamedTensor {
  readonly name: string;
  readonly at: number;
  /** Inputs; 1 for a bias. */
  readonly rows: number;
  /** Outputs. */
  readonly columns: number;
  readonly row: number;
}

/**
 * Every trained parameter under a name that says what it is, without padding: what another
 * framework needs to hold the same model. `level.L.expert.E.layer.N.weight` (and `.bias`),
 * `level.L.gate.G.weight`, `head.H.tower.layer.N.weight`, `head.H.output.weight`,
 * `head.H.skip.weight`, `positionBias` (positions x heads), `logVariances`. Experts of PLE stand in
 * the order of PleShape.
 */
export function namedTensors(layout: RankerLayout): NamedTensor[] {
  const { heads, positions } = layout;
  const all = layout.model === "ple" ? pleTensors(layout) : levelOne(layout, layout.experts);
  if (layout.model === "mmoe") {
    const { expertOffsets: offsets, expertWidths: widths, experts: blocks } = layout;
    const stack = { offsets, widths, blocks, entry: null };
    all.push(...stackTensors(stack, (e) => `level.0.expert.${e}`));
    for (let h = 0; h < heads; h++) {
      all.push(...gateTensors(layout, `level.0.gate.${h}`, { start: h * blocks, seen: blocks }));
    }
  }
  all.push(...headTensors(layout));
  const shape = { rows: positions, columns: heads, row: heads };
  all.push({ name: "positionBias", at: layout.positionBias, ...shape });
  all.push({ name: "logVariances", at: layout.logVariances, rows: 1, columns: heads, row: heads });
  return all;
}

/** A block of columns of layer one, and its biases. */
function columnsOfOne(
  layout: RankerLayout,
  name: string,
  block: { from: number; columns: number },
): NamedTensor[] {
  const { from, columns } = block;
  const rows = layout.userInputs + layout.itemInputs;
  const row = layout.columns;
  return [
    { name: `${name}.weight`, at: layout.layerOne + from, rows, columns, row },
    { name: `${name}.bias`, at: layout.layerOneBias + from, rows: 1, columns, row },
  ];
}

function gateTensors(layout: RankerLayout, name: string, gate: { start: number; seen: number }) {
  return columnsOfOne(layout, name, { from: layout.hidden + gate.start, columns: gate.seen });
}

/** The experts' part of layer one. */
function levelOne(layout: RankerLayout, experts: number): NamedTensor[] {
  const columns = layout.expertWidths[0]!;
  return Array.from({ length: experts }, (_, e) => {
    const name = `level.0.expert.${e}.layer.0`;
    return columnsOfOne(layout, name, { from: e * padded(columns), columns });
  }).flat();
}

/** A dense layer that stands at `at`. */
function dense(name: string, layer: { at: number; rows: number; columns: number }): NamedTensor[] {
  const { at, rows, columns } = layer;
  const row = padded(columns);
  return [
    { name: `${name}.weight`, at, rows, columns, row },
    { name: `${name}.bias`, at: at + rows * row, rows: 1, columns, row },
  ];
}

interface Stack {
  readonly offsets: readonly number[];
  readonly widths: readonly number[];
  readonly blocks: number;
  /** Width that enters; null where the first layer is part of layer one. */
  readonly entry: number | null;
}

function stackTensors(stack: Stack, nameOf: (block: number) => string): NamedTensor[] {
  return stack.widths.flatMap((columns, l) => {
    const rows = l === 0 ? stack.entry : stack.widths[l - 1]!;
    if (rows === null) return [];
    return Array.from({ length: stack.blocks }, (_, b) => {
      const at = stack.offsets[l]! + b * (rows + 1) * padded(columns);
      return dense(`${nameOf(b)}.layer.${l}`, { at, rows, columns });
    }).flat();
  });
}

function headTensors(layout: RankerLayout): NamedTensor[] {
  const { heads, towerWidths, towerOffsets, expertWidths, outputOffset, firstSkip } = layout;
  const entry = expertWidths.at(-1)!;
  const stack = { offsets: towerOffsets, widths: towerWidths, blocks: heads, entry };
  const all = stackTensors(stack, (h) => `head.${h}.tower`);
  const rows = towerWidths.at(-1) ?? entry;
  for (let h = 0; h < heads; h++) {
    const at = outputOffset + h * (padded(rows) + 16);
    all.push({ name: `head.${h}.output.weight`, at, rows, columns: 1, row: 1 });
    const bias = at + padded(rows);
    all.push({ name: `head.${h}.output.bias`, at: bias, rows: 1, columns: 1, row: 1 });
    if (!layout.skip) continue;
    all.push(...columnsOfOne(layout, `head.${h}.skip`, { from: firstSkip + h, columns: 1 }));
  }
  return all;
}

function pleTensors(layout: PleLayout): NamedTensor[] {
  const { heads, expertWidths: widths, levels } = layout;
  const inputs = widths.at(-1)!;
  const all = levelOne(layout, extractionSizes(layout, 0).experts);
  for (let l = 0; l < levels; l++) {
    const { experts: blocks, gates, seen } = extractionSizes(layout, l);
    const stack = { offsets: layout.expertOffsets[l]!, widths, blocks };
    const entry = l === 0 ? null : inputs;
    all.push(...stackTensors({ ...stack, entry }, (e) => `level.${l}.expert.${e}`));
    for (let g = 0; g < gates; g++) {
      const name = `level.${l}.gate.${g}`;
      const columns = g < heads ? seen : blocks;
      const at = layout.gateOffsets[l]! + g * (inputs + 1) * padded(seen);
      if (l > 0) all.push(...dense(name, { at, rows: inputs, columns }));
      else all.push(...gateTensors(layout, name, { start: g * seen, seen: columns }));
    }
  }
  return all;
}

/** The tensor's values, row after row. */
export function tensorValues(flat: Float32Array, tensor: NamedTensor): Float32Array {
  const { at, rows, columns, row } = tensor;
  return Float32Array.from(
    { length: rows * columns },
    (_, i) => flat[at + Math.floor(i / columns) * row + (i % columns)]!,
  );
}

/** Puts `values`, row after row, where the tensor stands. */
export function setTensor(flat: Float32Array, tensor: NamedTensor, values: Float32Array): void {
  const { at, rows, columns, row } = tensor;
  for (let i = 0; i < rows * columns; i++) {
    flat[at + Math.floor(i / columns) * row + (i % columns)] = values[i]!;
  }
}

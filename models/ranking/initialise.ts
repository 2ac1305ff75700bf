import { extractionSizes, padded } from "../../native/index.ts";
import type { Random } from "../core/random.ts";
import type { RankerStart } from "./cold-start.ts";
import type { PleLayout, RankerLayout } from "./layout.ts";

interface Block {
  readonly at: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Floats from one input's row to the next. */
  readonly row: number;
  readonly deviation: number;
}

function fillBlock(out: Float32Array, random: Random, block: Block): void {
  for (let i = 0; i < block.inputs; i++) {
    for (let j = 0; j < block.outputs; j++) {
      out[block.at + i * block.row + j] = random.normal() * block.deviation;
    }
  }
}

/** He et al. 2015: keeps the variance of what passes a ReLU. */
function he(inputs: number): number {
  return Math.sqrt(2 / Math.max(1, inputs));
}

/** Gates start nearly even: every expert is learned from. */
const gateDeviation = 0.1;

function fillLayerOne(layout: RankerLayout, random: Random, out: Float32Array): void {
  const inputs = layout.userInputs + layout.itemInputs;
  const width = layout.expertWidths[0] ?? 0;
  for (let from = 0; from < layout.hidden; from += padded(width)) {
    const at = layout.layerOne + from;
    const block = { at, inputs, outputs: width, row: layout.columns, deviation: he(inputs) };
    fillBlock(out, random, block);
  }
  // Skips start at zero: they only add what a line explains.
  fillBlock(out, random, {
    at: layout.layerOne + layout.hidden,
    inputs,
    outputs: layout.firstSkip - layout.hidden,
    row: layout.columns,
    deviation: gateDeviation * he(inputs),
  });
}

interface Stack {
  readonly offsets: readonly number[];
  readonly widths: readonly number[];
  readonly blocks: number;
  /** Width that enters the first layer; undefined where the first layer is not a stack. */
  readonly entry: number | undefined;
}

function fillStack(random: Random, out: Float32Array, stack: Stack): void {
  for (const [l, width] of stack.widths.entries()) {
    const inputs = l === 0 ? stack.entry : stack.widths[l - 1];
    if (inputs === undefined) continue;
    for (let b = 0; b < stack.blocks; b++) {
      const at = (stack.offsets[l] ?? 0) + b * (inputs + 1) * padded(width);
      fillBlock(out, random, {
        at,
        inputs,
        outputs: width,
        row: padded(width),
        deviation: he(inputs),
      });
    }
  }
}

function fillLevels(layout: PleLayout, random: Random, out: Float32Array): void {
  const { expertWidths, levels, heads } = layout;
  const inputs = expertWidths.at(-1) ?? 0;
  for (let l = 0; l < levels; l++) {
    const { experts, gates, seen } = extractionSizes(layout, l);
    const stack = { offsets: layout.expertOffsets[l] ?? [], widths: expertWidths };
    const entry = l === 0 ? undefined : inputs;
    fillStack(random, out, { ...stack, blocks: experts, entry });
    if (l === 0) continue;
    let at = layout.gateOffsets[l] ?? 0;
    for (let g = 0; g < gates; g++) {
      const outputs = g < heads ? seen : experts;
      const row = padded(outputs);
      fillBlock(out, random, { at, inputs, outputs, row, deviation: gateDeviation * he(inputs) });
      at += (inputs + 1) * row;
    }
  }
}

/** The rate that a binary head predicts before it has seen anything. */
const firstRate = 0.1;

/**
 * Fresh parameters: moments of a standard normal, He-normal weights, zero biases, output biases at
 * the logit of a feed's usual rate; with a start, its means and skips, and outputs of 0 (see
 * cold-start.ts). `out` has layout.floats floats.
 */
export function initialiseRanker(layout: RankerLayout, random: Random, out: Float32Array): void {
  out.fill(0, 0, layout.floats);
  out.fill(1, layout.userScale, layout.userScale + layout.userDense);
  out.fill(1, layout.itemScale, layout.itemScale + layout.itemDense);
  fillLayerOne(layout, random, out);
  const { expertWidths, towerWidths } = layout;
  const last = expertWidths.at(-1) ?? 0;
  if (layout.model === "ple") fillLevels(layout, random, out);
  else {
    const { expertOffsets: offsets, experts: blocks } = layout;
    fillStack(random, out, { offsets, widths: expertWidths, blocks, entry: undefined });
  }
  fillStack(random, out, {
    offsets: layout.towerOffsets,
    widths: towerWidths,
    blocks: layout.heads,
    entry: last,
  });
  const width = towerWidths.at(-1) ?? last;
  for (let h = 0; h < layout.heads; h++) {
    const at = layout.outputOffset + h * (padded(width) + 16);
    const deviation = layout.start === null ? Math.sqrt(1 / width) : 0;
    fillBlock(out, random, { at, inputs: 1, outputs: width, row: 0, deviation });
    const rate = layout.start?.rates[h] ?? firstRate;
    out[at + padded(width)] = layout.seconds[h] ? 0 : Math.log(rate / (1 - rate));
  }
  if (layout.start !== null) fillStart(layout, layout.start, out);
}

function fillStart(layout: RankerLayout, start: RankerStart, out: Float32Array): void {
  out.set(start.userMeans, layout.userMean);
  out.set(start.itemMeans, layout.itemMean);
  if (!layout.skip) return;
  const firstSkip = layout.layerOne + layout.firstSkip;
  for (const { head, itemInput, weight } of start.skips) {
    out[firstSkip + (layout.userInputs + itemInput) * layout.columns + head] = weight;
  }
}

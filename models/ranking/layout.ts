import {
  extractionSizes,
  type MmoeShape,
  mmoeLayersMax,
  type PleShape,
  packMmoeShape,
  packPleShape,
  padded,
  pleLevelsMax,
} from "../../native/index.ts";
import { RecError } from "../core/errors.ts";
import type { HeadDefinition, ModelType } from "../definition/define.ts";
import type { RankerStart } from "./cold-start.ts";

/** What a ranker is made of; everything else about its parameters follows from it. */
export interface RankerShape {
  /** Default: mmoe. */
  readonly model?: ModelType;
  /** Dense inputs, raw; normalised inside. */
  readonly userWidth: number;
  readonly itemWidth: number;
  /** Widths of the id embeddings; 0 has none. */
  readonly userEmbedding: number;
  readonly itemEmbedding: number;
  readonly heads: readonly HeadDefinition[];
  /** Experts that all heads see; a shared bottom has one. */
  readonly experts: number;
  /** PLE alone: experts of each head's own (default 1), and extraction levels (default 2). */
  readonly headExperts?: number;
  readonly levels?: number;
  readonly expertLayers: readonly number[];
  readonly towerLayers: readonly number[];
  /** A linear path from the inputs to each head (default true). */
  readonly skip?: boolean;
  /** Positions whose bias is learned in training and left out in serving. */
  readonly positions: number;
  /** What `initialise` starts from; without it all is random. */
  readonly start?: RankerStart;
}

/** What the layouts of all models have in common. */
interface CommonLayout {
  readonly headNames: readonly string[];
  /** Index of the head that head h is a rate given of; -1 for most. */
  readonly givenHead: readonly number[];
  readonly seconds: readonly boolean[];
  /** Seconds heads that answer the mean: see seconds-scale.ts. */
  readonly scaled: readonly boolean[];
  /** Heads whose late positives are learned by importance: see late-labels.ts. */
  readonly fakeNegative: readonly boolean[];
  /** Columns of the experts' part of layer one, and of all of it. */
  readonly hidden: number;
  readonly columns: number;
  /** Column of layer one that holds the first head's linear skip; gates stand before it. */
  readonly firstSkip: number;
  readonly skip: boolean;
  readonly userInputs: number;
  readonly itemInputs: number;
  readonly trainedFrom: number;
  readonly positions: number;
  /** positions x heads. */
  readonly positionBias: number;
  /** One per head. */
  readonly logVariances: number;
  readonly start: RankerStart | null;
}

export interface MmoeLayout extends CommonLayout, MmoeShape {
  readonly model: "mmoe";
}

export interface PleLayout extends CommonLayout, PleShape {
  readonly model: "ple";
}

/**
 * Places of all parameters in one flat Float32Array. First the normaliser's moments, which no
 * gradient touches; from `trainedFrom` on what the optimizer owns: layer one, experts, towers,
 * outputs, then what only training reads: position biases and log variances. A shared bottom is a
 * mixture of one expert.
 */
export type RankerLayout = MmoeLayout | PleLayout;

function refuse(path: string, message: string): never {
  throw new RecError("REC_RANKER_SHAPE", message, { path });
}

function checkWidths(path: string, widths: readonly number[], atLeast: number): void {
  const fits = widths.length >= atLeast && widths.length <= mmoeLayersMax;
  if (!fits) refuse(path, `needs ${atLeast} to ${mmoeLayersMax} layers`);
  for (const width of widths) checkWhole(path, width, 8192);
}

function checkWhole(path: string, value: number, most: number): void {
  const fits = Number.isInteger(value) && value >= 1 && value <= most;
  if (!fits) refuse(path, `needs whole numbers from 1 to ${most}`);
}

function checkShape(shape: RankerShape): void {
  const { heads, model, experts, headExperts, levels } = shape;
  if (heads.length < 1 || heads.length > 32) refuse("heads", "needs 1 to 32 heads");
  checkWhole("experts", experts, 64);
  if (model === "shared-bottom" && experts !== 1) refuse("experts", "a shared bottom has one");
  if (model === "ple") {
    checkWhole("headExperts", headExperts ?? 1, 16);
    checkWhole("levels", levels ?? 2, pleLevelsMax);
  } else if (headExperts !== undefined || levels !== undefined) {
    refuse(headExperts === undefined ? "levels" : "headExperts", "only PLE has them");
  }
  checkWidths("expertLayers", shape.expertLayers, 1);
  checkWidths("towerLayers", shape.towerLayers, 0);
}

function givenHeads(heads: readonly HeadDefinition[]): number[] {
  return heads.map((head, h) => {
    if (head.given === undefined) return -1;
    const given = heads.findIndex((one) => one.name === head.given);
    const binary = head.kind === "binary" && heads[given]?.kind === "binary";
    if (given < 0 || given === h || !binary || heads[given]?.given !== undefined) {
      refuse(`heads[${h}].given`, `"${head.given}" is not another plain binary head`);
    }
    return given;
  });
}

class Places {
  next = 0;

  /** Every part starts at a multiple of 16 floats. */
  take(floats: number): number {
    this.next += padded(floats);
    return this.next - padded(floats);
  }

  /** `blocks` dense layers: each from x pad(to) weights, then pad(to) biases. */
  layers(blocks: number, from: number, to: number): number {
    return this.take(blocks * (from + 1) * padded(to));
  }

  /** Stacks of dense layers; an `entry` of null leaves the first layer to layer one. */
  stacks(blocks: number, entry: number | null, widths: readonly number[]): number[] {
    return widths.map((width, l) => {
      const from = l === 0 ? entry : widths[l - 1]!;
      return from === null ? 0 : this.layers(blocks, from, width);
    });
  }
}

/** Sizes that native shapes of all models hold. */
function sizesOf(shape: RankerShape) {
  const seconds = shape.heads.map((head) => head.kind === "seconds");
  return {
    userDense: shape.userWidth,
    userVector: shape.userEmbedding,
    itemDense: shape.itemWidth,
    itemVector: shape.itemEmbedding,
    heads: shape.heads.length,
    expertWidths: shape.expertLayers,
    towerWidths: shape.towerLayers,
    secondsHeads: seconds.reduce((bits, is, h) => (is ? bits + 2 ** h : bits), 0) | 0,
  };
}

/** Moments, and layer one of `experts` experts with `gates` gate columns. */
function inputPlaces(shape: RankerShape, places: Places, { experts = 0, gates = 0 }) {
  const moments = {
    userMean: places.take(shape.userWidth),
    userScale: places.take(shape.userWidth),
    itemMean: places.take(shape.itemWidth),
    itemScale: places.take(shape.itemWidth),
  };
  const trainedFrom = places.next;
  const hidden = experts * padded(shape.expertLayers[0] ?? 0);
  const columns = hidden + padded(gates + shape.heads.length);
  const userInputs = shape.userWidth + shape.userEmbedding;
  const itemInputs = shape.itemWidth + shape.itemEmbedding;
  const layerOne = places.take((userInputs + itemInputs) * columns);
  const layerOneBias = places.take(columns);
  const inputs = { userInputs, itemInputs, layerOne, layerOneBias, trainedFrom };
  return { ...moments, ...inputs, hidden, columns, firstSkip: hidden + gates };
}

/** Towers, outputs, and what only training reads. */
function outputPlaces(shape: RankerShape, places: Places) {
  const heads = shape.heads.length;
  const entry = shape.expertLayers.at(-1) ?? 0;
  const towerOffsets = places.stacks(heads, entry, shape.towerLayers);
  const outputOffset = places.take(heads * (padded(shape.towerLayers.at(-1) ?? entry) + 16));
  const positionBias = places.take(shape.positions * heads);
  const logVariances = places.take(heads);
  return { towerOffsets, outputOffset, positionBias, logVariances, floats: places.next };
}

function mmoePlaces(shape: RankerShape) {
  const places = new Places();
  const { experts, expertLayers } = shape;
  const gates = shape.heads.length * experts;
  const native = {
    ...sizesOf(shape),
    experts,
    ...inputPlaces(shape, places, { experts, gates }),
    expertOffsets: places.stacks(experts, null, expertLayers),
    ...outputPlaces(shape, places),
  };
  return { model: "mmoe" as const, ...native, packed: packMmoeShape(native) };
}

function plePlaces(shape: RankerShape) {
  const places = new Places();
  const entry = shape.expertLayers.at(-1) ?? 0;
  const sizes = {
    ...sizesOf(shape),
    headExperts: shape.headExperts ?? 1,
    sharedExperts: shape.experts,
    levels: shape.levels ?? 2,
  };
  const experts = sizes.heads * sizes.headExperts + sizes.sharedExperts;
  const gates = extractionSizes(sizes, 0).logits;
  const input = inputPlaces(shape, places, { experts, gates });
  const expertOffsets: number[][] = [];
  const gateOffsets: number[] = [];
  for (let l = 0; l < sizes.levels; l++) {
    expertOffsets.push(places.stacks(experts, l === 0 ? null : entry, shape.expertLayers));
    gateOffsets.push(l === 0 ? 0 : places.take(extractionSizes(sizes, l).parameters));
  }
  const output = outputPlaces(shape, places);
  const native = { ...sizes, ...input, expertOffsets, gateOffsets, ...output };
  return { model: "ple" as const, ...native, packed: packPleShape(native) };
}

function fakeNegativeHeads(heads: readonly HeadDefinition[]): boolean[] {
  return heads.map(({ kind, delayed }, h) => {
    if (delayed === undefined) return false;
    if (kind !== "binary") refuse(`heads[${h}].delayed`, "only binary heads have a choice");
    return delayed === "fakeNegative";
  });
}

/** The layout of a shape; throws REC_RANKER_SHAPE with the path of what does not fit. */
export function rankerLayout(shape: RankerShape): RankerLayout {
  checkShape(shape);
  const common = {
    headNames: shape.heads.map((head) => head.name),
    givenHead: givenHeads(shape.heads),
    seconds: shape.heads.map((head) => head.kind === "seconds"),
    scaled: shape.heads.map(({ kind, answer }) => kind === "seconds" && answer !== "middle"),
    fakeNegative: fakeNegativeHeads(shape.heads),
    skip: shape.skip ?? true,
    positions: shape.positions,
    start: shape.start ?? null,
  };
  return shape.model === "ple"
    ? { ...plePlaces(shape), ...common }
    : { ...mmoePlaces(shape), ...common };
}

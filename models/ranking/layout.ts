import { type MmoeShape, mmoeLayersMax, packMmoeShape, padded } from "../../native/index.ts";
import { RecError } from "../core/errors.ts";
import type { HeadDefinition } from "../definition/define.ts";
import type { RankerStart } from "./cold-start.ts";

/** What a ranker is made of; everything else about its parameters follows from it. */
export interface RankerShape {
  /** Dense inputs, raw; normalised inside. */
  readonly userWidth: number;
  readonly itemWidth: number;
  /** Widths of the id embeddings; 0 has none. */
  readonly userEmbedding: number;
  readonly itemEmbedding: number;
  readonly heads: readonly HeadDefinition[];
  /** One expert is a shared bottom. */
  readonly experts: number;
  readonly expertLayers: readonly number[];
  readonly towerLayers: readonly number[];
  /** Positions whose bias is learned in training and left out in serving. */
  readonly positions: number;
  /** What `initialise` starts from; without it all is random. */
  readonly start?: RankerStart;
}

/**
 * Places of all parameters in one flat Float32Array. First the normaliser's moments, which no
 * gradient touches; from `trainedFrom` on what the optimizer owns: layer one, experts, towers,
 * outputs, then what only training reads: position biases and log variances.
 */
export interface RankerLayout extends MmoeShape {
  readonly headNames: readonly string[];
  /** Index of the head that head h is a rate given of; -1 for most. */
  readonly givenHead: readonly number[];
  readonly seconds: readonly boolean[];
  /** Columns of the experts' part of layer one, and of all of it. */
  readonly hidden: number;
  readonly columns: number;
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

function refuse(path: string, message: string): never {
  throw new RecError("REC_RANKER_SHAPE", message, { path });
}

function checkWidths(path: string, widths: readonly number[], atLeast: number): void {
  const fits = widths.length >= atLeast && widths.length <= mmoeLayersMax;
  if (!fits) refuse(path, `needs ${atLeast} to ${mmoeLayersMax} layers`);
  const whole = widths.every((width) => Number.isInteger(width) && width >= 1 && width <= 8192);
  if (!whole) refuse(path, "every width is a whole number from 1 to 8192");
}

function checkShape(shape: RankerShape): void {
  const { heads, experts } = shape;
  if (heads.length < 1 || heads.length > 32) refuse("heads", "needs 1 to 32 heads");
  if (!(experts >= 1 && experts <= 64)) refuse("experts", "needs 1 to 64 experts");
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
}

function widthsOf(shape: RankerShape) {
  const { experts, heads, expertLayers } = shape;
  const hidden = experts * padded(expertLayers[0] ?? 0);
  return {
    hidden,
    columns: hidden + padded(heads.length * experts + heads.length),
    userInputs: shape.userWidth + shape.userEmbedding,
    itemInputs: shape.itemWidth + shape.itemEmbedding,
  };
}

function networkPlaces(shape: RankerShape, places: Places) {
  const { experts, expertLayers, towerLayers } = shape;
  const heads = shape.heads.length;
  const { columns, userInputs, itemInputs } = widthsOf(shape);
  const lastExpert = expertLayers.at(-1) ?? 0;
  const stack = (blocks: number, from: number, to: number) =>
    places.take(blocks * (from + 1) * padded(to));
  return {
    layerOne: places.take((userInputs + itemInputs) * columns),
    layerOneBias: places.take(columns),
    expertOffsets: expertLayers.map((width, l) =>
      l === 0 ? 0 : stack(experts, expertLayers[l - 1] ?? 0, width),
    ),
    towerOffsets: towerLayers.map((width, l) =>
      stack(heads, towerLayers[l - 1] ?? lastExpert, width),
    ),
    outputOffset: places.take(heads * (padded(towerLayers.at(-1) ?? lastExpert) + 16)),
  };
}

/** The layout of a shape; throws REC_RANKER_SHAPE with the path of what does not fit. */
export function rankerLayout(shape: RankerShape): RankerLayout {
  checkShape(shape);
  const places = new Places();
  const moments = {
    userMean: places.take(shape.userWidth),
    userScale: places.take(shape.userWidth),
    itemMean: places.take(shape.itemWidth),
    itemScale: places.take(shape.itemWidth),
  };
  const trainedFrom = places.next;
  const network = networkPlaces(shape, places);
  const positionBias = places.take(shape.positions * shape.heads.length);
  const logVariances = places.take(shape.heads.length);
  const seconds = shape.heads.map((head) => head.kind === "seconds");
  const native = {
    userDense: shape.userWidth,
    userVector: shape.userEmbedding,
    itemDense: shape.itemWidth,
    itemVector: shape.itemEmbedding,
    heads: shape.heads.length,
    experts: shape.experts,
    expertWidths: shape.expertLayers,
    towerWidths: shape.towerLayers,
    ...moments,
    ...network,
    floats: places.next,
    secondsHeads: seconds.reduce((bits, is, h) => (is ? bits + 2 ** h : bits), 0) | 0,
  };
  return {
    ...native,
    ...widthsOf(shape),
    packed: packMmoeShape(native),
    headNames: shape.heads.map((head) => head.name),
    givenHead: givenHeads(shape.heads),
    seconds,
    trainedFrom,
    positions: shape.positions,
    positionBias,
    logVariances,
    start: shape.start ?? null,
  };
}

import type { KernelSet } from "../kernel-set.ts";
import { matrixProduct, reluBackward } from "./dense.ts";
import { extractionMix, extractionMixBackward } from "./extraction.ts";
import { gateMix, gateMixBackward } from "./gates.ts";
import { binaryCrossEntropy, productCrossEntropy, smoothL1 } from "./loss.ts";
import { mmoeScore } from "./mmoe.ts";
import { mmoePack, mmoeScorePacked } from "./mmoe-packed.ts";
import { adagrad, adam, squareSum } from "./optimizer.ts";
import { pleScore } from "./ple.ts";
import { dotRows, dotRowsBackward, normalise, sigmoid, topK } from "./rows.ts";

/** The plain twins: the oracle of the kernels' tests, and readable definitions of each. */
export const referenceKernels: KernelSet = {
  name: "twin",
  packs: true,
  matrixProduct,
  reluBackward,
  gateMix,
  gateMixBackward,
  dotRows,
  dotRowsBackward,
  normalise,
  sigmoid,
  adam,
  adagrad,
  squareSum,
  binaryCrossEntropy,
  productCrossEntropy,
  smoothL1,
  topK,
  extractionMix,
  extractionMixBackward,
  mmoeScore,
  pleScore,
  mmoePack,
  mmoeScorePacked,
};

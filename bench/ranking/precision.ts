import { RecError } from "../../models/core/errors.ts";
import { Random } from "../../models/core/random.ts";
import { auc, xauc } from "../../models/evaluation/auc.ts";
import { createRanker, type Ranker } from "../../models/ranking/ranker.ts";
import { ValueModel } from "../../models/ranking/value-model.ts";
import { RankTrainer } from "../../models/training/trainer.ts";
import { EmbeddingTable, type KernelSet, nativeKernels } from "../../native/index.ts";
import { referenceKernels } from "../../native/reference/kernels.ts";
import { type Figure, mean } from "../statistics.ts";
import {
  drawStream,
  type SampleStream,
  samplesOf,
  streamIds,
  wideShape,
} from "../training/stream.ts";

/** Sizes of the check. */
export interface PrecisionSizes {
  /** Samples learned from, one pass. */
  readonly trained: number;
  /** Later samples, scored one by one: AUC is over these. */
  readonly judged: number;
  /** Slates: one user and `candidates` items each. */
  readonly slates: number;
  readonly candidates: number;
  readonly seed: number;
}

/** What a form of scoring must keep of fp32's answers to be served. */
export const overlapMin = 0.99;
export const aucMovedMax = 0.0005;
const slate = 20;

const valueModel = new ValueModel({
  heads: wideShape.heads,
  valueWeights: { ctr: 1, like: 0.5, finish: 0.3, cvr: 1, watch: 0.05 },
});

/** Both forms of one trained model over the stream that it comes from. */
class TwoForms {
  readonly #ranker: Ranker;
  readonly #slot: Float32Array;
  readonly #stream: SampleStream;
  readonly #tables: { users: EmbeddingTable; items: EmbeddingTable };

  constructor(
    ranker: Ranker,
    trainer: RankTrainer,
    stream: SampleStream,
    tables: { users: EmbeddingTable; items: EmbeddingTable },
  ) {
    this.#ranker = ranker;
    this.#stream = stream;
    this.#tables = tables;
    this.#slot = new Float32Array(ranker.slotFloats);
    trainer.fillSlot(this.#slot);
  }

  /** Heads of the items of some samples for the user of another, by fp32 and as served. */
  score(user: number, items: readonly number[]): [Float32Array, Float32Array] {
    const { userWidth, itemWidth, userEmbedding, itemEmbedding, heads } = wideShape;
    const { userRows, itemRows, userDense, itemDense } = this.#stream;
    const count = items.length;
    const input = {
      weights: this.#slot,
      userDense: userDense.subarray(user * userWidth, (user + 1) * userWidth),
      itemDense: new Float32Array(count * itemWidth),
      userVector: new Float32Array(userEmbedding),
      itemVectors: new Float32Array(count * itemEmbedding),
      count,
    };
    items.forEach((at, i) => {
      input.itemDense.set(itemDense.subarray(at * itemWidth, (at + 1) * itemWidth), i * itemWidth);
    });
    const rows = Uint32Array.from(items, (at) => itemRows[at] ?? 0);
    this.#tables.users.gatherWorking(userRows.subarray(user, user + 1), 1, input.userVector);
    this.#tables.items.gatherWorking(rows, count, input.itemVectors);
    const [plain, served] = [0, 1].map(() => new Float32Array(count * heads.length));
    this.#ranker.score(input, plain!);
    this.#ranker.scoreSlot(input, served!);
    return [plain!, served!];
  }
}

function topOf(heads: Float32Array, count: number, kernels: KernelSet): Set<number> {
  const weights = new Float64Array(valueModel.headCount);
  valueModel.weights(null, weights);
  const values = new Float32Array(count);
  valueModel.score(heads, weights, count, values);
  const out = new Uint32Array(slate);
  return new Set(out.subarray(0, kernels.topK(values, count, slate, out)));
}

/** The share of the best 20 by fp32 that the served form has among its best 20. */
function overlaps(forms: TwoForms, sizes: PrecisionSizes, kernels: KernelSet): number[] {
  const random = new Random(sizes.seed + 7);
  const later = () => sizes.trained + random.int(sizes.judged);
  return Array.from({ length: sizes.slates }, () => {
    const items = Array.from({ length: sizes.candidates }, later);
    const [plain, served] = forms
      .score(later(), items)
      .map((heads) => topOf(heads, items.length, kernels));
    return [...plain!].filter((item) => served!.has(item)).length / plain!.size;
  });
}

/** AUC of each head by both forms (XAUC for seconds), over the judged samples. */
function aucs(forms: TwoForms, stream: SampleStream, sizes: PrecisionSizes) {
  const { heads } = wideShape;
  const columns = [0, 1].map(() => heads.map(() => new Float64Array(sizes.judged)));
  for (let i = 0; i < sizes.judged; i++) {
    const at = sizes.trained + i;
    forms.score(at, [at]).forEach((scores, form) => {
      for (const [h, { given }] of heads.entries()) {
        const rate =
          given === undefined ? 1 : scores[heads.findIndex((one) => one.name === given)]!;
        columns[form]![h]![i] = rate * scores[h]!;
      }
    });
  }
  return heads.map(({ name, kind }, h) => {
    const labels = Float32Array.from(
      { length: sizes.judged },
      (_, i) => stream.labels[(sizes.trained + i) * heads.length + h]!,
    );
    const [plain, served] = columns.map((column) =>
      kind === "seconds" ? xauc(column[h]!, labels) : auc({ scores: column[h]!, labels }),
    );
    return { name, plain: plain!, moved: served! - plain! };
  });
}

function judge(overlap: number, heads: readonly { name: string; moved: number }[]): void {
  const far = heads.find(({ moved }) => !(Math.abs(moved) <= aucMovedMax));
  if (overlap >= overlapMin && far === undefined) return;
  const found = far === undefined ? `overlap ${overlap}` : `AUC of ${far.name} moved ${far.moved}`;
  throw new RecError("REC_BENCH_PRECISION", `the served form is too far from fp32: ${found}`);
}

/**
 * Trains the wide model on a drawn stream and compares its served form with fp32 on what came
 * later: top 20 of whole slates, AUC of each head. Throws where they are further apart than an
 * option of scoring may be. Without bf16 in the processor the twin stands in for it.
 */
export function measurePrecision(sizes: PrecisionSizes): Record<string, Figure> {
  const kernels = nativeKernels().packs ? nativeKernels() : referenceKernels;
  const stream = drawStream(sizes.trained + sizes.judged, sizes.seed);
  const ranker = createRanker(wideShape, kernels);
  const initial = new Float32Array(ranker.floats);
  ranker.initialise(new Random(sizes.seed), initial);
  const { userEmbedding, itemEmbedding } = wideShape;
  const users = EmbeddingTable.create({ path: null, rows: streamIds.users, dim: userEmbedding });
  const items = EmbeddingTable.create({ path: null, rows: streamIds.items, dim: itemEmbedding });
  const tables = { users, items };
  try {
    const trainer = new RankTrainer(ranker, tables, initial, { batchMax: 256 });
    trainer.learn(samplesOf(stream).slice(0, sizes.trained));
    const forms = new TwoForms(ranker, trainer, stream, tables);
    const overlap = mean(overlaps(forms, sizes, kernels));
    const heads = aucs(forms, stream, sizes);
    judge(overlap, heads);
    const figures: Record<string, Figure> = { top20Overlap: { value: overlap, unit: "share" } };
    for (const { name, plain, moved } of heads) {
      const head = `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
      figures[`auc${head}`] = { value: plain, unit: "" };
      figures[`aucMoved${head}`] = { value: moved, unit: "" };
    }
    return figures;
  } finally {
    users.release();
    items.release();
  }
}

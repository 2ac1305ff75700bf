import { weightlessRanker } from "../../../models/onnx/export.ts";
import { sizeOf, type WeightInput } from "../../../models/onnx/graph-weights.ts";
import { blockNames } from "../../../models/onnx/ranker-graph.ts";
import type { RankerLayout } from "../../../models/ranking/layout.ts";
import type { ScoreInputs, ScoringRanker } from "../state.ts";
import { OnnxSession, type Tensor, tensor } from "./session.ts";

type Feeds = Record<string, Tensor>;

/**
 * The definition's own ranker, run by ONNX Runtime. Its weights are inputs of the graph, fed from
 * the slot where they lie: one session serves every version, a swap makes and copies nothing.
 */
export class SlotOnnxRanker implements ScoringRanker {
  readonly #layout: RankerLayout;
  readonly #inputs: readonly WeightInput[];
  readonly #session: OnnxSession;
  /** Feeds of each slot seen; as many as there are slots. */
  readonly #weights = new WeakMap<Float32Array, Feeds>();

  constructor(layout: RankerLayout) {
    const { file, weights } = weightlessRanker(layout);
    this.#layout = layout;
    this.#inputs = weights;
    this.#session = new OnnxSession(file, "the exported ranker");
  }

  score(inputs: ScoreInputs, heads: Float32Array): void {
    const { userDense, userVector, itemDense, itemVector, headNames } = this.#layout;
    const { count } = inputs;
    const feeds: Feeds = { ...this.#weightFeeds(inputs.weights) };
    const feed = (name: string, values: Float32Array, rows: number, width: number) => {
      if (width > 0) feeds[name] = tensor(values.subarray(0, rows * width), [rows, width]);
    };
    feed(blockNames.userDense, inputs.userDense, 1, userDense);
    feed(blockNames.userVector, inputs.userVector, 1, userVector);
    feed(blockNames.itemDense, inputs.itemDense, count, itemDense);
    feed(blockNames.itemVector, inputs.itemVectors, count, itemVector);
    const outputs: Feeds = {};
    for (const [h, name] of headNames.entries()) {
      outputs[name] = tensor(heads.subarray(h * count, (h + 1) * count), [count]);
    }
    this.#session.run(feeds, outputs);
  }

  #weightFeeds(weights: Float32Array): Feeds {
    const known = this.#weights.get(weights);
    if (known !== undefined) return known;
    const feeds: Feeds = {};
    for (const { name, at, dimensions } of this.#inputs) {
      feeds[name] = tensor(weights.subarray(at, at + sizeOf(dimensions)), dimensions);
    }
    this.#weights.set(weights, feeds);
    return feeds;
  }

  close(): void {
    this.#session.close();
  }
}

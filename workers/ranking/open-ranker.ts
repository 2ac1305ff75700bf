import { RecError } from "../../models/core/errors.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { limits } from "../../models/limits.ts";
import { rankerShapeOf } from "../../models/ranking/definition-shape.ts";
import { createRanker } from "../../models/ranking/ranker.ts";
import type { ScoringRanker } from "./state.ts";

/** What scores candidates; plain data. */
export type RankEngine =
  /** The definition's ranker on the native kernels, from the pinned slot. */
  | { readonly kind: "native" }
  /** The same ranker and slots on ONNX Runtime. */
  | { readonly kind: "onnx" }
  /** A model from elsewhere; `version` is of its content. */
  | {
      readonly kind: "file";
      readonly path: string;
      readonly version: number;
      readonly embeddingsOf: number | null;
    };

/** The definition's ranker, by the form of its slots that the native kernels serve from. */
export function nativeRanker(definition: RecommenderDefinition): ScoringRanker {
  const ranker = createRanker(rankerShapeOf(definition));
  return { score: (inputs, heads) => ranker.scoreSlot(inputs, heads) };
}

/** The ranker of one thread. ONNX Runtime is loaded only where it is asked for. */
export async function openRanker(
  engine: RankEngine,
  definition: RecommenderDefinition,
): Promise<ScoringRanker> {
  if (engine.kind === "native") return nativeRanker(definition);
  if (engine.kind === "onnx") {
    const { SlotOnnxRanker } = await import("./onnx/slot-ranker.ts");
    return new SlotOnnxRanker(createRanker(rankerShapeOf(definition)).layout);
  }
  const { FileRanker } = await import("./onnx/file-ranker.ts");
  const ranker = new FileRanker(engine.path, definition);
  if (ranker.version === engine.version) return ranker;
  throw new RecError("REC_ONNX_CHANGED", `${engine.path} is another model than at the start`, {
    ...{ path: engine.path, fix: "restart, or put the old file back" },
  });
}

/** Checks at the start that the engine can serve: throws what threads would meet. */
export async function checkEngine(
  path: string | null,
  { definition, warn }: { definition: RecommenderDefinition; warn: (text: string) => void },
): Promise<RankEngine> {
  if (path === null) {
    const { SlotOnnxRanker } = await import("./onnx/slot-ranker.ts");
    new SlotOnnxRanker(createRanker(rankerShapeOf(definition)).layout).close();
    return { kind: "onnx" };
  }
  const { FileRanker } = await import("./onnx/file-ranker.ts");
  const ranker = new FileRanker(path, definition);
  ranker.close();
  const { version, embeddingsOf, scoreMs } = ranker;
  if (scoreMs > limits.deadlineMsDefault / 4) {
    const rows = definition.rankedMax;
    // Nothing can cut a score short, and a thread that is still for long is replaced.
    warn(`${path} takes ${scoreMs.toFixed(0)} ms for ${rows} candidates: make it smaller`);
  }
  return { kind: "file", path, version, embeddingsOf };
}

/** What is wrong with embeddings of `version` for the model that serves; null where nothing is. */
export function embeddingsFault(engine: RankEngine, version: number): string | null {
  if (engine.kind !== "file") return null;
  const { embeddingsOf, path } = engine;
  if (embeddingsOf === null || embeddingsOf === version) return null;
  return (
    `${path} was exported from version ${embeddingsOf}, but the embeddings are those of version ` +
    `${version}: export it again`
  );
}

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { Random } from "../../models/core/random.ts";
import { exportRanker } from "../../models/onnx/export.ts";
import { notePath } from "../../models/onnx/note.ts";
import { blockNames } from "../../models/onnx/ranker-graph.ts";
import type { Ranker } from "../../models/ranking/ranker.ts";
import { createRankingEngine } from "../../workers/ranking/build.ts";
import { FileRanker } from "../../workers/ranking/onnx/file-ranker.ts";
import { SlotOnnxRanker } from "../../workers/ranking/onnx/slot-ranker.ts";
import { nativeRanker } from "../../workers/ranking/open-ranker.ts";
import type { ScoreInputs, ScoringRanker } from "../../workers/ranking/state.ts";
import { publishModel, smallWorld } from "../../workers/ranking/testing/small-world.ts";
import { middle, timesFaster } from "../kernels/measure.ts";
import { type Figure, median } from "../statistics.ts";
import type { OnnxWork } from "./messages.ts";
import { defaultRanker, definition, fillWeights, inputsOf } from "./scoring-inputs.ts";

/** One way to score, or to answer: a call, waited for where it is asynchronous. */
interface Arm {
  readonly name: string;
  run(): unknown;
}

/** Microseconds of a call, one median a round, all arms in turn. */
async function alternate(arms: readonly Arm[], { turnMs, rounds }: OnnxWork) {
  const found = new Map<string, number[]>(arms.map(({ name }) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    for (const { name, run } of arms) {
      const samples: number[] = [];
      const untilMs = performance.now() + turnMs;
      do {
        const startMs = performance.now();
        const result = run();
        if (result instanceof Promise) await result;
        samples.push((performance.now() - startMs) * 1_000);
      } while (performance.now() < untilMs);
      // The first round is for the compiler.
      if (round >= 0) found.get(name)?.push(median(samples));
    }
  }
  return found;
}

/** `InferenceSession.run` of the package, as its documentation has it. */
async function packageArm(ranker: Ranker, file: Uint8Array, inputs: ScoreInputs): Promise<Arm> {
  const session = await InferenceSession.create(file, {
    ...{ intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: "sequential" },
  });
  const { userWidth, itemWidth, userEmbedding, itemEmbedding } = ranker.shape;
  const { count, userDense, userVector, itemDense, itemVectors } = inputs;
  const feeds = {
    [blockNames.userDense]: new Tensor("float32", userDense, [1, userWidth]),
    [blockNames.userVector]: new Tensor("float32", userVector, [1, userEmbedding]),
    [blockNames.itemDense]: new Tensor("float32", itemDense, [count, itemWidth]),
    [blockNames.itemVector]: new Tensor("float32", itemVectors, [count, itemEmbedding]),
  };
  return { name: "package", run: () => session.run(feeds) };
}

/** A whole request on one thread: the given items, ranked, over the tables of a small world. */
function requestArm(name: string, work: OnnxWork, ranker: ScoringRanker): Arm {
  const world = smallWorld({ items: 1_000 });
  publishModel(world.state, 1);
  // Its served records are dropped: a log in memory would grow through the rounds.
  const engine = createRankingEngine({
    ...{ definition, ranker, state: world.state, clock: world.clock, timer: null },
    ...{ generations: world.generations, documents: world.documents },
    ...{ log: { append: async () => 0 }, random: new Random(work.seed) },
  });
  const request = {
    ...{ requestId: [0, 0, 0, 1] as const, user: "u1", weights: null },
    ...{ details: false, explain: false },
    items: Array.from({ length: work.candidates }, (_, i) => `i${i}`),
  };
  return { name, run: () => engine.answerNow({ kind: "rank", request }) };
}

function figuresOf(rounds: ReadonlyMap<string, number[]>, prefix: string) {
  const ours = rounds.get("native") ?? [];
  const figures: Record<string, Figure> = {};
  for (const [name, values] of rounds) {
    const suffix = `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
    figures[`${prefix}Us${suffix}`] = middle(values, "us");
    if (name !== "native") figures[`${prefix}Vs${suffix}`] = timesFaster(ours, values);
  }
  return figures;
}

/** Scoring alone and whole requests: native, slots, a file, and the package's own call. */
export async function measureCost(work: OnnxWork): Promise<Record<string, Figure>> {
  const folder = mkdtempSync(join(tmpdir(), "bench-onnx-"));
  try {
    const native = defaultRanker();
    const weights = new Float32Array(native.floats);
    fillWeights(native, work.seed, weights);
    const path = join(folder, "model.onnx");
    const { file, note } = exportRanker(definition, native.layout, { weights, version: 1 });
    writeFileSync(path, file);
    writeFileSync(notePath(path), JSON.stringify(note));
    const slot = new Float32Array(native.slotFloats);
    native.fillSlot(weights, slot);
    const inputs = { ...inputsOf(native, work.candidates, work.seed), weights: slot };
    const heads = new Float32Array(work.candidates * native.headNames.length);
    const rankers = [
      { name: "native", ranker: nativeRanker(definition) },
      { name: "slot", ranker: new SlotOnnxRanker(native.layout) },
      { name: "file", ranker: new FileRanker(path, definition) },
    ];
    const arms: Arm[] = rankers.map(({ name, ranker }) => ({
      ...{ name, run: () => ranker.score(inputs, heads) },
    }));
    arms.push({ name: "nativeFp32", run: () => native.score(inputs, heads) });
    const peer = await packageArm(native, file, inputs);
    const scoring = figuresOf(await alternate([...arms, peer], work), "score");
    const requests = rankers.map(({ name, ranker }) => requestArm(name, work, ranker));
    return { ...scoring, ...figuresOf(await alternate(requests, work), "request") };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

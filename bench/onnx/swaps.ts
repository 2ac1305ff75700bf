import { InferenceSession } from "onnxruntime-node";
import { exportRanker } from "../../models/onnx/export.ts";
import { ModelSlots } from "../../native/index.ts";
import { SlotOnnxRanker } from "../../workers/ranking/onnx/slot-ranker.ts";
import { memoryMb } from "../process-figures.ts";
import { type Figure, median } from "../statistics.ts";
import type { OnnxWork } from "./messages.ts";
import { defaultRanker, definition, fillWeights, furthest, inputsOf } from "./scoring-inputs.ts";

/** Requests between two swaps, and swaps between two looks at memory and at the native engine. */
const requestsPerSwap = 5;
const lookEvery = 10;
const toleranceMax = 1e-5;

/** A look at the memory of the process, after what can be collected is. */
function look(into: number[]): void {
  Bun.gc(true);
  into.push(memoryMb(process.pid));
}

/** The last quarter over the first; what the first publishes load is in both. */
function growthMb(memory: readonly number[]): number {
  const quarter = Math.max(1, Math.floor(memory.length / 4));
  return median(memory.slice(-quarter)) - median(memory.slice(0, quarter));
}

/** One session, weights from slots: each swap publishes another model, and requests score on it. */
export function measureSwaps(work: OnnxWork, say: (text: string) => void): Record<string, Figure> {
  const { swaps, candidates, seed } = work;
  const native = defaultRanker();
  const onnx = new SlotOnnxRanker(native.layout);
  const slots = ModelSlots.create({ slots: 4, floats: native.slotFloats, readers: 1 });
  const published = new Float32Array(native.floats);
  const inputs = inputsOf(native, candidates, seed);
  const [ours, theirs] = [0, 1].map(() => new Float32Array(candidates * native.headNames.length));
  if (ours === undefined || theirs === undefined) throw new Error("two arrays were made");
  const memory: number[] = [];
  let worst = 0;
  for (let swap = 0; swap < swaps; swap++) {
    const slot = slots.acquire();
    fillWeights(native, seed + swap, published);
    native.fillSlot(published, slots.weights(slot));
    slots.publish(slot, swap + 1);
    const weights = slots.weights(slots.pin(0));
    for (let i = 0; i < requestsPerSwap; i++) onnx.score({ ...inputs, weights }, theirs);
    if (swap % lookEvery === 0) {
      native.score({ ...inputs, weights }, ours);
      worst = Math.max(worst, furthest(ours, theirs));
      if (!(worst <= toleranceMax)) throw new Error(`swap ${swap} differs by ${worst}`);
      look(memory);
    }
    slots.unpin(0);
  }
  onnx.close();
  say(`memory over the swaps, MB: ${memory.map((mb) => mb.toFixed(1)).join(" ")}`);
  return {
    swaps: { value: swaps, unit: "swaps" },
    swapsCompared: { value: memory.length, unit: "swaps" },
    swapFurthest: { value: worst, unit: "of a head" },
    swapMemoryGrowthMb: { value: growthMb(memory), unit: "MB" },
  };
}

/** What is not done: a session for each version, given back before the next. */
export async function measureSessions(work: OnnxWork): Promise<Record<string, Figure>> {
  const { sessions, seed } = work;
  const native = defaultRanker();
  const weights = new Float32Array(native.floats);
  const memory: number[] = [];
  const tookMs: number[] = [];
  for (let version = 1; version <= sessions; version++) {
    fillWeights(native, seed + version, weights);
    const { file } = exportRanker(definition, native.layout, { weights, version });
    const startMs = performance.now();
    const session = await InferenceSession.create(file, { intraOpNumThreads: 1 });
    tookMs.push(performance.now() - startMs);
    await session.release();
    look(memory);
  }
  if (memory.length === 0) return {};
  return {
    sessions: { value: sessions, unit: "sessions" },
    sessionMsP50: { value: median(tookMs), unit: "ms" },
    sessionMemoryGrowthMb: { value: growthMb(memory), unit: "MB" },
  };
}

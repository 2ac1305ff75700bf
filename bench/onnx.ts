import type { Bench, Figure } from "./harness.ts";
import type { FromOnnxThread, OnnxWork } from "./onnx/messages.ts";

export const bench: Bench = {
  name: "onnx",
  about: "The ranker on ONNX Runtime: cost of a request, memory and equality over swaps.",
  options: {
    candidates: { kind: "number", help: "candidates of a request", default: 500, min: 1, max: 500 },
    swaps: { kind: "number", help: "models published, one after another", default: 1_000, min: 40 },
    sessions: { kind: "number", help: "of a session for each swap", default: 1_000, min: 0 },
    "turn-ms": { kind: "number", help: "milliseconds of one turn", default: 20, min: 0.1 },
    rounds: { kind: "number", help: "turns of each, alternating", default: 15, min: 1 },
  },
  async run({ options, smoke, seed, say }) {
    const figures = await inThread(
      {
        seed,
        candidates: smoke ? 20 : options.number("candidates"),
        swaps: smoke ? 100 : options.number("swaps"),
        sessions: smoke ? 4 : options.number("sessions"),
        turnMs: smoke ? 0.1 : options.number("turn-ms"),
        rounds: smoke ? 2 : options.number("rounds"),
      },
      say,
    );
    return figures;
  },
};

/** In a thread with a small heap, as ranking threads are. */
async function inThread(
  work: OnnxWork,
  say: (text: string) => void,
): Promise<Readonly<Record<string, Figure>>> {
  const thread = new Worker(new URL("./onnx/thread.ts", import.meta.url).href, { smol: true });
  try {
    return await new Promise((resolve, reject) => {
      thread.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      thread.onmessage = ({ data }: MessageEvent<FromOnnxThread>) => {
        if (data.kind === "said") say(data.text);
        else resolve(data.figures);
      };
      thread.postMessage(work);
    });
  } finally {
    thread.terminate();
  }
}

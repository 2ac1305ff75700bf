import { measureCost } from "./cost.ts";
import type { FromOnnxThread, OnnxWork } from "./messages.ts";
import { measureSessions, measureSwaps } from "./swaps.ts";

declare const self: Worker;

function post(message: FromOnnxThread): void {
  self.postMessage(message);
}

async function measure(work: OnnxWork): Promise<void> {
  const say = (text: string) => post({ kind: "said", text });
  const swaps = measureSwaps(work, say);
  const sessions = await measureSessions(work);
  post({ kind: "done", figures: { ...(await measureCost(work)), ...swaps, ...sessions } });
}

self.onmessage = ({ data }: MessageEvent<OnnxWork>) => {
  measure(data).catch((error: unknown) => {
    setTimeout(() => {
      throw error;
    });
  });
};

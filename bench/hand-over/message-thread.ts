import type { RankingCall } from "../../workers/ranking/messages.ts";
import { answerCall } from "./work.ts";

/** A thread behind plain messages: one in, one out. */

declare const self: Worker;

self.onmessage = (event: MessageEvent<{ sequence: number; call: RankingCall }>) => {
  const { sequence, call } = event.data;
  self.postMessage({ sequence, bytes: answerCall(call) });
};

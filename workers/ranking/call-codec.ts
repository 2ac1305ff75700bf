import { text, utf8, viewOf } from "../../models/core/bytes.ts";
import type { RankingCall } from "./messages.ts";

/** A request as it crosses to a thread. */
export interface TimedCall {
  /** Epoch milliseconds, with fraction. */
  readonly enqueuedAtMs: number;
  readonly deadlineAtMs: number;
  readonly call: RankingCall;
}

const headerBytes = 16;

export function encodeCall({ enqueuedAtMs, deadlineAtMs, call }: TimedCall): Uint8Array {
  const json = utf8(JSON.stringify(call));
  const bytes = new Uint8Array(headerBytes + json.length);
  const view = viewOf(bytes);
  view.setFloat64(0, enqueuedAtMs, true);
  view.setFloat64(8, deadlineAtMs, true);
  bytes.set(json, headerBytes);
  return bytes;
}

export function decodeCall(bytes: Uint8Array): TimedCall {
  const view = viewOf(bytes);
  return {
    enqueuedAtMs: view.getFloat64(0, true),
    deadlineAtMs: view.getFloat64(8, true),
    call: JSON.parse(text(bytes.subarray(headerBytes))) as RankingCall,
  };
}

/** When a call must be answered, without parsing it. */
export function callTimes(bytes: Uint8Array): { enqueuedAtMs: number; deadlineAtMs: number } {
  const view = viewOf(bytes);
  return { enqueuedAtMs: view.getFloat64(0, true), deadlineAtMs: view.getFloat64(8, true) };
}

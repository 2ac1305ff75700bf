import { isRecord } from "../../models/core/schema.ts";
import type { LoadClient } from "../open-loop.ts";

/** What an answer to `recommend` is worth. Only the good ones count as throughput. */
export type Verdict = "good" | "degraded" | "short" | "refused" | "failed";

/** How a whole answer without `explain` ends. */
const wholeEnd = Buffer.from('"degraded":[]}');
/** Of so many answers one is parsed and its items are counted; the end of each is looked at. */
const parseEvery = 16;

/**
 * Judges answers: good is a 200 with nothing left out and, in the parsed sample, exactly as many
 * items as asked for. Cheap, since the client shares the machine with the server.
 */
export class SlateJudge {
  readonly #n: number;
  #seen = 0;

  constructor(n: number) {
    this.#n = n;
  }

  verdict(status: number, body: Uint8Array | null): Verdict {
    if (status === 503) return "refused";
    if (status !== 200 || body === null) return "failed";
    const end = body.subarray(Math.max(0, body.length - wholeEnd.length));
    if (!wholeEnd.equals(end)) return "degraded";
    if (this.#seen++ % parseEvery !== 0) return "good";
    return itemsIn(body) === this.#n ? "good" : "short";
  }
}

function itemsIn(body: Uint8Array): number {
  const value: unknown = JSON.parse(new TextDecoder().decode(body));
  return isRecord(value) && Array.isArray(value.items) ? value.items.length : -1;
}

export interface ClosedLoad {
  readonly connections: number;
  readonly seconds: number;
  readonly next: (index: number) => Uint8Array;
  readonly judge: SlateJudge;
}

export interface ClosedResult {
  readonly counts: Readonly<Record<Verdict, number>>;
  readonly seconds: number;
  readonly goodPerSecond: number;
  readonly clientCpuSeconds: number;
}

/** A refused client waits so long before it asks again. */
const backOffMs = 50;

/** So many clients, each asking again as soon as it is answered, and later when refused. */
export async function closedSlates(client: LoadClient, load: ClosedLoad): Promise<ClosedResult> {
  const counts = { good: 0, degraded: 0, short: 0, refused: 0, failed: 0 };
  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  const endMs = startMs + load.seconds * 1_000;
  let index = 0;
  const live = (done: () => void) => {
    const ask = () => {
      const nowMs = performance.now();
      if (nowMs >= endMs) done();
      else client.send(load.next(index++), nowMs, take);
    };
    const take = ({ status, body }: { status: number; body: Uint8Array | null }) => {
      const verdict = load.judge.verdict(status, body);
      counts[verdict]++;
      if (verdict === "good" || verdict === "short" || verdict === "degraded") ask();
      else setTimeout(ask, backOffMs);
    };
    ask();
  };
  await Promise.all(Array.from({ length: load.connections }, () => new Promise<void>(live)));
  const seconds = (performance.now() - startMs) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const clientCpuSeconds = (user + system) / 1e6;
  return { counts, seconds, goodPerSecond: counts.good / seconds, clientCpuSeconds };
}

const rungs = [1, 2, 3, 4, 6, 8, 12, 16];
/** More connections must bring so much more goodput to be worth their queue. */
const worthwhile = 1.02;

/** The fewest connections that give about the most good slates, with next to no refusals. */
export async function bestConnections(
  measure: (connections: number) => Promise<ClosedResult>,
  connectionsMax: number,
): Promise<number> {
  let [best, bestRate] = [1, 0];
  for (const connections of rungs) {
    if (connections > connectionsMax) break;
    const { goodPerSecond, counts } = await measure(connections);
    if (counts.refused > 0.001 * counts.good) break;
    if (goodPerSecond > worthwhile * bestRate) [best, bestRate] = [connections, goodPerSecond];
  }
  return best;
}

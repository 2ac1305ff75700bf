import { readFileSync } from "node:fs";
import { RecError } from "../models/core/errors.ts";
import { isRecord } from "../models/core/schema.ts";
import { limits } from "../models/limits.ts";
import type { BadCall, BadInput } from "../server/http/testing/bad-input.ts";
import { badInputs } from "../server/http/testing/bad-inputs.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { type RawAnswer, sendRaw } from "./raw-http.ts";
import { seedServer } from "./seeding.ts";
import { startServer } from "./server-process.ts";
import { median } from "./statistics.ts";

/**
 * Method: each kind of bad input goes to the server alone, on a connection of its own, several
 * times. What it cost the main thread is the growth of that thread's processor time (the kernel's
 * own account, in nanoseconds, read once the thread is idle again). In a second pass `/healthz`
 * is asked without pause on another connection: the longest that it waited is the longest slice.
 */

/** What a refused input must leave as it was. */
const kept = ["rec_events_log_offset", "rec_ids_users", "rec_ids_items", "rec_ids_categories"];
const hugeBytes = 64 << 20;
const largeBytes = 4 << 20;
const settleMs = 30;

/** Two bodies of 64 MB, one with its length and one in chunks. */
const hugeBodies: readonly { readonly what: string; readonly chunked: boolean }[] = [
  { what: "64 MB by their length", chunked: false },
  { what: "64 MB in chunks", chunked: true },
];

interface Cost {
  readonly what: string;
  /** Of a size that takes milliseconds to receive and to look at, whatever is done with it. */
  readonly large: boolean;
  /** Milliseconds of the main thread, one for each time. */
  readonly cpuMs: number[];
  /** Longest wait of a concurrent request, one for each time. */
  readonly blockedMs: number[];
}

/** Processor time of a process's main thread, ms. */
function mainThreadMs(pid: number): number {
  const [ran] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ");
  return Number(ran) / 1e6;
}

async function gauges(port: number): Promise<string> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const lines = text.split("\n").filter((line) => kept.some((name) => line.startsWith(`${name} `)));
  if (lines.length !== kept.length) {
    throw new RecError("REC_BENCH_METRICS", `the server does not report ${kept.join(", ")}`);
  }
  return lines.join(", ");
}

function faultOf({ status, text }: RawAnswer, wanted: BadInput["answer"]): string | null {
  const got = { status, ...errorIn(text) };
  const same = got.status === wanted.status && got.code === wanted.code && got.path === wanted.path;
  return same ? null : `${JSON.stringify(got)} and not ${JSON.stringify(wanted)}`;
}

function errorIn(text: string): { code: unknown; path: unknown } {
  try {
    const body: unknown = JSON.parse(text);
    const error = isRecord(body) && isRecord(body.error) ? body.error : {};
    return { code: error.code, path: error.path };
  } catch {
    return { code: undefined, path: text.slice(0, 60) };
  }
}

type Target = { readonly port: number; readonly pid: number };

/** The processor time that `work` costs the main thread, until that is idle again. */
async function cpuOf({ pid }: Target, work: () => Promise<unknown>): Promise<number> {
  const before = mainThreadMs(pid);
  const from = performance.now();
  await work();
  await Bun.sleep(settleMs);
  return mainThreadMs(pid) - before - idleShare(pid) * (performance.now() - from);
}

const idleByPid = new Map<number, number>();

/** Share of the main thread that its own timers take. */
function idleShare(pid: number): number {
  return idleByPid.get(pid) ?? 0;
}

async function measureIdle({ pid }: Target): Promise<void> {
  const [before, from] = [mainThreadMs(pid), performance.now()];
  await Bun.sleep(1_000);
  idleByPid.set(pid, (mainThreadMs(pid) - before) / (performance.now() - from));
}

/** The longest that `/healthz` waited while `work` ran. */
async function blockedBy({ port }: Target, work: () => Promise<unknown>): Promise<number> {
  const probe = new Worker(new URL("./input/probe-thread.ts", import.meta.url).href);
  const next = () =>
    new Promise<number>((resolve) => {
      probe.onmessage = (event: MessageEvent<number>) => resolve(event.data);
    });
  probe.postMessage(port);
  await next();
  await work();
  const longest = next();
  probe.postMessage("end");
  const ms = await longest;
  probe.terminate();
  return ms;
}

async function measure(target: Target, input: BadInput, times: number): Promise<Cost> {
  const large = Buffer.byteLength(input.call[2] ?? "") >= largeBytes;
  const cost: Cost = { what: input.what, large, cpuMs: [], blockedMs: [] };
  const send = async () => {
    const fault = faultOf(await sendRaw(target.port, rawOf(input.call)), input.answer);
    if (fault !== null) throw new RecError("REC_BENCH_INPUT", `${input.what}: ${fault}`);
  };
  for (let i = 0; i < times; i++) cost.cpuMs.push(await cpuOf(target, send));
  for (let i = 0; i < times; i++) cost.blockedMs.push(await blockedBy(target, send));
  return cost;
}

function rawOf([method, path, body, headers]: BadCall) {
  return { method, path, body: body ?? null, headers: headers ?? {} };
}

/** What a large good batch costs: it is taken in turns, so it may take long but not at once. */
async function measureBatch(target: Target, times: number): Promise<Record<string, Figure>> {
  let batch = 0;
  const send = async () => {
    const name = `batch-${batch++}`;
    const events = Array.from({ length: limits.batchEventsMax }, (_, i) => ({
      ...{
        id: `${name}-${i}`,
        type: "impression",
        user: `${name}-${i % 3_000}`,
        item: `i${i % 500}`,
      },
    }));
    const body = JSON.stringify(events);
    const call = { method: "POST", path: "/v1/events", body, headers: {} };
    const { status, text } = await sendRaw(target.port, call);
    if (status !== 200) throw new RecError("REC_BENCH_INPUT", `a good batch: ${status} ${text}`);
  };
  const cpuMs: number[] = [];
  const blockedMs: number[] = [];
  for (let i = 0; i < times; i++) cpuMs.push(await cpuOf(target, send));
  for (let i = 0; i < times; i++) blockedMs.push(await blockedBy(target, send));
  return {
    batchMainThreadMs: { value: median(cpuMs), unit: "ms" },
    batchBlockedMs: { value: median(blockedMs), unit: "ms" },
  };
}

async function measureHuge(target: Target): Promise<Cost[]> {
  const body = new Uint8Array(hugeBytes).fill(0x20);
  const costs: Cost[] = [];
  for (const { what, chunked } of hugeBodies) {
    const wanted = { status: 413, code: "REC_HTTP_BODY_TOO_LARGE", path: "body" };
    const send = async () => {
      const call = { method: "POST", path: "/v1/events", body, headers: {}, chunked };
      const fault = faultOf(await sendRaw(target.port, call), wanted);
      if (fault !== null) throw new RecError("REC_BENCH_INPUT", `${what}: ${fault}`);
    };
    costs.push({
      what,
      large: true,
      cpuMs: [await cpuOf(target, send)],
      blockedMs: [await blockedBy(target, send)],
    });
  }
  return costs;
}

function figuresOf(all: readonly Cost[]): Record<string, Figure> {
  const ms = (value: number) => ({ value, unit: "ms" });
  const worst = (values: readonly number[]) => ms(Math.max(...values));
  const costs = all.filter(({ large }) => !large);
  const large = all.filter((cost) => cost.large);
  return {
    kinds: { value: all.length, unit: "kinds" },
    mainThreadMsMax: worst(costs.map(({ cpuMs }) => median(cpuMs))),
    mainThreadMsOnce: worst(costs.flatMap(({ cpuMs }) => cpuMs)),
    blockedMsMax: worst(costs.map(({ blockedMs }) => median(blockedMs))),
    blockedMsOnce: worst(costs.flatMap(({ blockedMs }) => blockedMs)),
    largeMainThreadMsMax: worst(large.map(({ cpuMs }) => median(cpuMs))),
    largeBlockedMsMax: worst(large.map(({ blockedMs }) => median(blockedMs))),
  };
}

function tell({ say }: BenchContext, costs: readonly Cost[]): void {
  const slowest = [...costs].sort((a, b) => median(b.cpuMs) - median(a.cpuMs)).slice(0, 12);
  for (const { what, cpuMs, blockedMs } of slowest) {
    const [cpu, blocked] = [median(cpuMs).toFixed(2), median(blockedMs).toFixed(2)];
    say(`  ${what.padEnd(36)} ${cpu.padStart(8)} ms, blocked ${blocked.padStart(8)} ms`);
  }
}

export const bench: Bench = {
  name: "input",
  about: "What every kind of bad input costs the main thread, and that it changes nothing.",
  options: {
    times: { kind: "number", help: "times that each kind is sent", default: 5, min: 1 },
  },
  async run(context) {
    const { options, smoke, seed } = context;
    const server = await startServer({});
    try {
      const sizes = { items: 500, users: 500, eventsPerUser: smoke ? 3 : 30, seed };
      await seedServer(server.port, sizes);
      await Bun.sleep(500);
      await measureIdle(server);
      const before = await gauges(server.port);
      const times = smoke ? 1 : options.number("times");
      const costs: Cost[] = [];
      for (const input of badInputs(Date.now())) costs.push(await measure(server, input, times));
      const huge = await measureHuge(server);
      const after = await gauges(server.port);
      tell(context, [...costs, ...huge]);
      if (after !== before) {
        throw new RecError("REC_BENCH_CHANGED", `bad input changed ${before} into ${after}`);
      }
      const batch = await measureBatch(server, times);
      return { ...figuresOf([...costs, ...huge]), ...batch, changed: { value: 0, unit: "gauges" } };
    } finally {
      await server.stop();
    }
  },
};

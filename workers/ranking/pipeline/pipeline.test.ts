import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../models/core/clock.ts";
import { Random } from "../../../models/core/random.ts";
import { Candidates } from "./candidates.ts";
import { Deadline, type Timer } from "./deadline.ts";
import { Pipeline } from "./pipeline.ts";
import type { Filter, PipelineContext, Selector, Source, Stage } from "./stages.ts";
import { Trace } from "./trace.ts";

interface TestContext extends PipelineContext {
  log: string[];
}

const quota = 64;

function contextOf(sources = 2, trace = true): TestContext {
  const candidates = new Candidates({
    capacity: 100,
    quotas: Array.from({ length: sources }, () => quota),
    slateMax: 20,
  });
  candidates.reset();
  return {
    candidates,
    deadline: new Deadline(),
    degraded: [],
    trace: trace ? new Trace() : null,
    pending: 0,
    log: [],
  };
}

function sourceOf(name: string, rows: readonly number[]): Source<TestContext> {
  return {
    name,
    retrieve(_context, out) {
      rows.forEach((row, i) => {
        out.rows[i] = row;
        out.scores[i] = rows.length - i;
      });
      return rows.length;
    },
  };
}

function filterOf(name: string, removes: (row: number) => boolean): Filter<TestContext> {
  return {
    name,
    reasons: ["no"],
    failsClosed: true,
    filter({ candidates }, out, base) {
      for (let i = 0; i < candidates.count; i++) {
        if (out[i] === 0 && removes(candidates.rows[i])) out[i] = base;
      }
      return undefined;
    },
  };
}

const first: (n: number) => Selector<TestContext> = (n) => ({
  name: "first",
  select({ candidates }) {
    for (let i = 0; i < Math.min(n, candidates.count); i++) candidates.select(i, Number.NaN);
    return undefined;
  },
});

const observed = () => {
  const removed: Record<string, number> = {};
  const leftOut: string[] = [];
  const stages: string[] = [];
  const overflowed: number[] = [];
  return {
    overflowed,
    removed,
    leftOut,
    stages,
    observer: {
      stage: (name: string) => stages.push(name),
      leftOut: (name: string) => leftOut.push(name),
      overflowed: (count: number) => overflowed.push(count),
      removed: (reason: string, count: number) => {
        removed[reason] = (removed[reason] ?? 0) + count;
      },
    },
  };
};

function pipelineOf(
  stages: readonly Stage<TestContext>[],
  options: { clock?: ManualClock; timer?: Timer | null; seen?: ReturnType<typeof observed> } = {},
) {
  return new Pipeline<TestContext>({
    stages,
    clock: options.clock ?? new ManualClock(0),
    timer: options.timer ?? null,
    observer: (options.seen ?? observed()).observer,
  });
}

/** A timer that fires when told to. */
function manualTimer() {
  const calls: (() => void)[] = [];
  const timer: Timer = {
    after(_ms, call) {
      calls.push(call);
      return () => {};
    },
  };
  return {
    timer,
    fire: () => {
      for (const call of calls.splice(0)) call();
    },
  };
}

function selectedRows({ candidates }: TestContext): number[] {
  return [...candidates.selected.subarray(0, candidates.selectedCount)].map(
    (index) => candidates.rows[index] ?? -1,
  );
}

describe("pipeline", () => {
  test("selected + filtered + rest = retrieved, nothing twice, at any shape", () => {
    const random = new Random(7);
    for (let round = 0; round < 200; round++) {
      const draw = (n: number) => [...new Set(Array.from({ length: n }, () => random.int(90)))];
      const lists = [draw(random.int(60)), draw(random.int(60))];
      const modulus = 2 + random.int(5);
      const context = contextOf();
      const seen = observed();
      const run = pipelineOf(
        [
          {
            role: "source",
            name: "recall",
            components: [sourceOf("a", lists[0] ?? []), sourceOf("b", lists[1] ?? [])],
          },
          {
            role: "filter",
            name: "filters",
            components: [
              filterOf("even", (row) => row % modulus === 0),
              filterOf("low", (row) => row < 20),
            ],
          },
          { role: "selector", name: "select", components: [first(random.int(12))] },
        ],
        { seen },
      ).run(context);
      expect(run).toBeUndefined();
      const distinct = new Set(lists.flat());
      const selected = selectedRows(context);
      const removals = context.trace?.removals.map(({ row }) => row) ?? [];
      const { candidates } = context;
      const rest = [...candidates.rows.subarray(0, candidates.count)].filter(
        (row) => !selected.includes(row),
      );
      const all = [...selected, ...removals, ...rest];
      expect(candidates.retrieved).toBe(distinct.size);
      expect(all.length).toBe(distinct.size);
      expect(new Set(all)).toEqual(distinct);
      expect(candidates.removed).toBe(removals.length);
      const counted = Object.values(seen.removed).reduce((sum, count) => sum + count, 0);
      expect(counted).toBe(removals.length);
    }
  });

  test("a row of two sources is one candidate with both bits, scores and ranks", () => {
    const context = contextOf();
    pipelineOf([
      {
        role: "source",
        name: "recall",
        components: [sourceOf("a", [5, 6]), sourceOf("b", [7, 6, 7])],
      },
    ]).run(context);
    const { candidates } = context;
    expect([...candidates.rows.subarray(0, candidates.count)]).toEqual([5, 6, 7]);
    expect([...candidates.sources.subarray(0, 3)]).toEqual([1, 3, 2]);
    expect(candidates.scores[0]?.[1]).toBe(1);
    expect(candidates.scores[1]?.[1]).toBe(2);
    expect(candidates.scores[1]?.[0]).toBe(0);
    expect(candidates.preRank[1]).toBeCloseTo(2 / 61);
    expect(candidates.preRank[2]).toBeCloseTo(1 / 60);
  });

  test("attached columns stay in step with the candidates", () => {
    const context = contextOf(1);
    const wide = new Int32Array(200);
    context.candidates.attach(wide, 2);
    const fill = {
      name: "fill",
      hydrate({ candidates }: TestContext) {
        for (let i = 0; i < candidates.count; i++) wide.set([candidates.rows[i] ?? 0, -i], 2 * i);
        return undefined;
      },
    };
    pipelineOf([
      { role: "source", name: "recall", components: [sourceOf("a", [1, 2, 3, 4, 5])] },
      { role: "hydrator", name: "fill", components: [fill] },
      { role: "filter", name: "filter", components: [filterOf("f", (row) => row % 2 === 0)] },
    ]).run(context);
    expect([...wide.subarray(0, 6)]).toEqual([1, 0, 3, -2, 5, -4]);
  });

  test("asynchronous components of a stage run together and merge in their own order", async () => {
    const context = contextOf();
    const waiting: (() => void)[] = [];
    const later = (source: Source<TestContext>): Source<TestContext> => ({
      name: source.name,
      retrieve: async (own, out) => {
        await new Promise<void>((resolve) => waiting.push(resolve));
        return source.retrieve(own, out);
      },
    });
    const done = pipelineOf([
      {
        role: "source",
        name: "recall",
        components: [later(sourceOf("a", [1])), later(sourceOf("b", [2]))],
      },
    ]).run(context);
    expect(waiting.length).toBe(2);
    for (const resolve of waiting.reverse()) resolve();
    await done;
    expect([...context.candidates.rows.subarray(0, 2)]).toEqual([1, 2]);
    expect(context.pending).toBe(0);
  });

  test("what is late is left out, named, and does not write into a later request", async () => {
    const context = contextOf();
    const { timer, fire } = manualTimer();
    let resolveLate: (count: number) => void = () => {};
    const late: Source<TestContext> = {
      name: "late",
      retrieve: () => new Promise<number>((resolve) => (resolveLate = resolve)),
    };
    context.deadline.reset(0, 100);
    const done = pipelineOf(
      [
        { role: "source", name: "recall", components: [sourceOf("a", [1, 2]), late] },
        { role: "selector", name: "select", components: [first(5)] },
      ],
      { timer },
    ).run(context);
    fire();
    await done;
    expect(context.degraded).toEqual(["late"]);
    expect(selectedRows(context)).toEqual([1, 2]);
    expect(context.pending).toBe(1);
    resolveLate(2);
    await Promise.resolve().then(() => {});
    expect(context.pending).toBe(0);
    expect(context.candidates.count).toBe(2);
  });

  test("when time is nearly up only the essential still starts", () => {
    const clock = new ManualClock(95);
    const context = contextOf();
    context.deadline.reset(0, 100);
    const essential = { ...sourceOf("b", [2]), essential: true };
    pipelineOf(
      [
        { role: "source", name: "recall", components: [sourceOf("a", [1]), essential] },
        { role: "filter", name: "filter", components: [filterOf("none", () => false)] },
        { role: "selector", name: "select", components: [first(5)] },
      ],
      { clock },
    ).run(context);
    expect(selectedRows(context)).toEqual([2]);
    expect(context.degraded).toEqual(["a"]);
  });

  test("a component that throws is left out; a filter that must fails closed", () => {
    const broken = () => {
      throw new Error("broken");
    };
    const run = (failsClosed: boolean) => {
      const context = contextOf();
      const filter = { name: "gate", reasons: ["shut"], failsClosed, filter: broken };
      pipelineOf([
        {
          role: "source",
          name: "recall",
          components: [sourceOf("a", [1, 2]), { name: "bad", retrieve: broken }],
        },
        { role: "filter", name: "filters", components: [filter] },
        { role: "selector", name: "select", components: [first(5)] },
      ]).run(context);
      return context;
    };
    expect(selectedRows(run(true))).toEqual([]);
    expect(run(true).trace?.removals.map(({ reason }) => reason)).toEqual([
      "gate:failed",
      "gate:failed",
    ]);
    expect(selectedRows(run(false))).toEqual([1, 2]);
    expect(run(false).degraded).toEqual(["bad", "gate"]);
  });

  test("a hydrator that joins later is waited for only then", async () => {
    const context = contextOf();
    let finish: () => void = () => {};
    const prefetch = {
      name: "prefetch",
      joins: "sideEffect" as const,
      hydrate: (own: TestContext) =>
        new Promise<void>((resolve) => {
          finish = resolve;
        }).then(() => {
          own.log.push("fetched");
        }),
    };
    const note = (text: string) => (own: TestContext) => {
      own.log.push(text);
      return undefined;
    };
    const done = pipelineOf([
      { role: "source", name: "recall", components: [sourceOf("a", [1])] },
      { role: "hydrator", name: "prefetch", components: [prefetch] },
      { role: "scorer", name: "score", components: [{ name: "model", score: note("scored") }] },
      { role: "selector", name: "select", components: [first(1)] },
      { role: "sideEffect", name: "after", components: [{ name: "out", perform: note("out") }] },
    ]).run(context);
    expect(context.log).toEqual(["scored"]);
    finish();
    await done;
    expect(context.log).toEqual(["scored", "fetched", "out"]);
  });

  test("what does not fit is counted, not written past the end", () => {
    const context = contextOf(2);
    const seen = observed();
    const many = (from: number) => Array.from({ length: quota }, (_, i) => from + i);
    const components = [sourceOf("a", many(0)), sourceOf("b", many(1000))];
    pipelineOf([{ role: "source", name: "recall", components }], { seen }).run(context);
    expect(context.candidates.count).toBe(100);
    expect(seen.overflowed).toEqual([28]);
  });

  test("stages out of order are refused when the pipeline is made", () => {
    expect(() =>
      pipelineOf([
        { role: "selector", name: "select", components: [first(1)] },
        { role: "source", name: "recall", components: [sourceOf("a", [1])] },
      ]),
    ).toThrow("too late");
  });
});

import { afterAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { ManualClock } from "../../models/core/clock.ts";
import { Random } from "../../models/core/random.ts";
import { encodeSample } from "../../models/training/sample.ts";
import { drawFeed } from "../../models/training/testing/feed-world.ts";
import type { EmbeddingTable } from "../../native/index.ts";
import type { TailedLog } from "../stores/event-log.ts";
import {
  inverted,
  releaseAll,
  roleAt,
  type Shared,
  sampleLog,
  shared,
  stateOf,
} from "./testing/feed-trainer.ts";
import type { OnlineTrainer } from "./trainer.ts";

afterAll(releaseAll);

/** Half a batch a step: every other kill leaves one that was begun. */
const stepSamples = 50;
const stepMs = 4_000;
/** Kills begin when the anchor is about to judge labels. */
const firstKill = 10_000;
const random = new Random(3);
/** All labels turn for four batches; later some do, and have been learned when it shows. */
const feed = drawFeed(24_000, 7).samples.map((sample, i) => {
  const all = i >= 10_500 && i < 10_900;
  const some = i >= 14_000 && i < 21_000 && random.next() < 0.11;
  // Over thirty hours, so that the anchor is another every hour and the elder is not.
  const timed = { ...sample, emittedMs: 4_500 * sample.emittedMs };
  return all || some ? inverted(timed) : timed;
});

const readBytes = stepSamples * encodeSample(feed[0]!).length;

type Opened = Awaited<ReturnType<typeof roleAt>>;

/** A trainer's process, or its thread alone, from its last snapshot on. */
class Life {
  readonly clock: ManualClock;
  readonly memory: Shared;
  readonly #opened: Opened;

  private constructor(memory: Shared, clock: ManualClock, opened: Opened) {
    this.memory = memory;
    this.clock = clock;
    this.#opened = opened;
  }

  static async begin(
    memory: Shared,
    at: { readonly directory: string; readonly log: TailedLog; readonly clock: ManualClock },
  ): Promise<Life> {
    return new Life(memory, at.clock, await roleAt({ ...at, memory, readBytes }));
  }

  get trainer(): OnlineTrainer {
    return this.#opened.trainer;
  }

  /** What the guard said last; where candidates went back, to what. */
  async verdict(): Promise<string> {
    const { guard } = JSON.parse(await this.#opened.role.command({ name: "list" }));
    const { reason, reload, toElder } = guard.verdict;
    return reload ? `${reason}: back to ${toElder ? "the elder" : "the last good"}` : reason;
  }

  async stepTo(offset: number): Promise<void> {
    while (this.trainer.readOffset < offset) {
      expect(await this.#opened.role.step()).toBe(stepSamples);
      this.clock.advanceTo(this.clock.nowMs() + stepMs);
    }
  }
}

function digest(parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/** What readers get: the version, its weights, and the rows as they were published with it. */
function publishedOf({ slots, ids: _, ...tables }: Shared): string {
  const { slot, version } = slots.current();
  const all = Uint32Array.from({ length: 64 }, (_, row) => row);
  const rows = Object.values(tables).map((table: EmbeddingTable) => {
    const values = new Float32Array(64 * table.dim);
    table.gather(all, 64, version, values);
    return new Uint8Array(values.buffer);
  });
  const weights = new Uint8Array(slots.weights(slot).slice().buffer);
  return `${version} ${digest([weights, ...rows])}`;
}

/** Weights, optimizer, guard and rows; and what is live. */
function standOf({ trainer, memory }: Life) {
  return { learned: digest(stateOf(trainer, memory)), published: publishedOf(memory) };
}

const cases = (["exact", "recycled"] as const).flatMap((kind) => [
  { kind, dies: "process" as const },
  { kind, dies: "thread" as const },
]);

test.each(cases)(
  "killed after every step while labels turn, a $dies learns and serves the same: $kind ids",
  async ({ kind, dies }) => {
    const log = await sampleLog(feed);
    const begin = (memory: Shared, name: string, clock: ManualClock) =>
      Life.begin(memory, { directory: `${name} ${dies} ${kind}`, log, clock });
    const whole = await begin(shared(kind), "unbroken", new ManualClock(1e12));
    let life = await begin(shared(kind), "killed", new ManualClock(1e12));
    await whole.stepTo(firstKill);
    await life.stepTo(firstKill);
    const met = new Map<string, number>();
    for (let offset = firstKill + stepSamples; offset <= feed.length; offset += stepSamples) {
      const memory = dies === "thread" ? life.memory : shared(kind);
      life = await begin(memory, "killed", life.clock);
      expect(life.trainer.readOffset).toBeLessThan(offset);
      await life.stepTo(offset);
      await whole.stepTo(offset);
      expect({ offset, ...standOf(life) }).toEqual({ offset, ...standOf(whole) });
      const verdict = await whole.verdict();
      met.set(verdict, (met.get(verdict) ?? 0) + 1);
    }
    const kills = (verdict: string) => met.get(verdict) ?? 0;
    expect(kills("labels contradict the elder: back to the last good")).toBeGreaterThan(20);
    expect(kills("labels contradict the elder: back to the elder")).toBeGreaterThan(0);
    expect(kills("probation")).toBeGreaterThan(20);
    expect(kills("fine")).toBeGreaterThan(20);
    await log.close();
  },
  60_000,
);

import { RecError } from "../models/core/errors.ts";
import feed from "../models/definition/default.ts";
import { JoinerCore } from "../workers/joiner/joiner.ts";
import { systemClock } from "../workers/system-clock.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { batchOf } from "./streaming/event-stream.ts";
import { Meter } from "./streaming/meter.ts";
import { SlateStream, slateItems } from "./streaming/slate-stream.ts";

/** Slates of one turn: about what one read of the log brings. */
const turnSlates = 150;
const turnsAtOnce = 20;
const keepMs = 86_400_000;

/** A joiner that is fed by hand: batches as the log gives them, from memory. */
class Fed {
  readonly core: JoinerCore;
  samples = 0;
  late = 0;
  sampleBytes = 0;
  readonly #offsets = { served: 0, events: 0 };

  constructor(rowsMax: number) {
    const partitions = { events: 1, served: 1 };
    this.core = new JoinerCore({ definition: feed, clock: systemClock, partitions, rowsMax });
  }

  prepare(made: { slates: Uint8Array[]; events: Uint8Array[] }) {
    const served = batchOf(made.slates, this.#offsets.served);
    const events = batchOf(made.events, this.#offsets.events);
    this.#offsets.served += served.count;
    this.#offsets.events += events.count;
    return { served, events };
  }

  take(batches: ReturnType<Fed["prepare"]>): void {
    for (const source of this.core.sources) {
      this.core.take(source, source.topic === "served" ? batches.served : batches.events);
    }
    // More is to come: the stream alone moves event time.
    this.core.advance(() => false);
    const { samples, late } = this.core.emission.drain();
    this.samples += samples.length;
    this.late += late.length;
    for (const sample of samples) this.sampleBytes += sample.length;
  }
}

async function run({ options, smoke, seed, say }: BenchContext): Promise<Record<string, Figure>> {
  const of = (name: string, tiny: number) => (smoke ? tiny : options.number(name));
  const live = of("live", 40_000);
  const rows = of("rows", 60_000);
  const [users, items] = [of("users", 1_000), of("items", 1_000)];
  // The slates of a day are kept, so their distance decides how many are.
  const gapMs = (keepMs * slateItems) / live;
  const startMs = systemClock.nowMs() - 30 * keepMs;
  const stream = new SlateStream(feed, { users, items, seed, startMs, gapMs });
  const fed = new Fed(live + Math.ceil(live / 10));
  const turnRows = turnSlates * slateItems;
  for (let done = 0; done < live * 1.02; done += turnRows)
    fed.take(fed.prepare(stream.next(turnSlates)));
  say(`${fed.core.live.items} served items are live`);
  const meter = new Meter();
  const before = { ...fed.core.counts, samples: fed.samples };
  for (let done = 0; done < rows; done += turnRows * turnsAtOnce) {
    const turns = Array.from({ length: turnsAtOnce }, () => fed.prepare(stream.next(turnSlates)));
    meter.time(turnRows * turnsAtOnce, () => {
      for (const turn of turns) fed.take(turn);
    });
  }
  const { counts } = fed.core;
  if (counts.orphans + counts.evictedItems + counts.outside > 0 || fed.samples === before.samples) {
    throw new RecError("REC_BENCH_METHOD", `not all was joined: ${JSON.stringify(counts)}`);
  }
  return {
    liveItems: { value: fed.core.live.items, unit: "items" },
    servedPerSecond: meter.perCpuSecond(),
    servedPerSecondWall: meter.perSecond(),
    samples: { value: fed.samples - before.samples, unit: "samples" },
    corrections: { value: counts.corrections - before.corrections, unit: "samples" },
    sampleBytes: { value: fed.sampleBytes / fed.samples, unit: "bytes" },
  };
}

export const bench: Bench = {
  name: "join",
  about: "Served items a second that one core joins with what came of them.",
  options: {
    live: { kind: "number", help: "served items kept", default: 4_000_000, min: 20 },
    rows: { kind: "number", help: "served items measured", default: 2_000_000, min: 20 },
    users: { kind: "number", help: "users", default: 100_000, min: 1 },
    items: { kind: "number", help: "items", default: 100_000, min: 1 },
  },
  run,
};

import { id128ToHex } from "../../models/core/bytes.ts";
import { decodeEvent } from "../../models/core/event.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { decodeServed } from "../../models/training/served.ts";
import { SharedMetrics } from "../../native/index.ts";
import { recordOf } from "../../workers/stores/event-log.ts";
import { readAll } from "../../workers/stores/read-all.ts";
import { decodeLate, type LateRecord } from "../../workers/windows/late-records.ts";
import type { ReadableLog } from "./ordered-log.ts";

/** How late records were, in milliseconds: quantiles to about 2 %, and the largest. */
export interface Lateness {
  readonly msP50: number;
  readonly msP90: number;
  readonly msP99: number;
  readonly msMax: number;
}

/** What one window of the definition missed. */
export interface MissedWindow {
  readonly window: string;
  /** Scopes that count in it. */
  readonly scopes: readonly string[];
  readonly records: number;
}

/** What one partition of events or slates brought too late. */
export interface LateSource {
  readonly source: string;
  readonly records: number;
  /** Event time behind the partition's watermark. */
  readonly behind: Lateness;
}

/** One record that was late, and what it said, as long as the log keeps it. */
export interface LateSighting {
  readonly source: string;
  readonly offset: number;
  readonly timeMs: number;
  readonly behindMs: number;
  readonly missed: readonly string[];
  /** Null where retention has dropped it. */
  readonly record: { readonly receivedMs: number; readonly what: string } | null;
}

export interface LateReport {
  /** In topic `late` now, and what retention has dropped of it. */
  readonly records: number;
  readonly dropped: number;
  readonly windows: readonly MissedWindow[];
  /** Where some event or slate was late: by topic and partition. */
  readonly sources: readonly LateSource[];
  /** Newest first. */
  readonly newest: readonly LateSighting[];
}

export interface LateOptions {
  readonly log: ReadableLog;
  readonly definition: RecommenderDefinition;
  /** How many of the newest are looked up. */
  readonly newestMax: number;
}

/** What lies in topic `late`: how much, from where, how late, for which windows. */
export async function readLate(options: LateOptions): Promise<LateReport> {
  const { log, definition, newestMax } = options;
  const { windows, features } = definition;
  const missed = windows.map(() => 0);
  const sources = new Sources(log);
  const latest: LateRecord[] = [];
  const counts = { records: 0, dropped: 0 };
  for (let partition = 0; partition < log.partitions("late"); partition++) {
    const own: LateRecord[] = [];
    counts.dropped += log.startOffset("late", partition);
    counts.records += await readAll(log, { topic: "late", partition, offset: 0 }, (batch) => {
      for (let i = 0; i < batch.count; i++) {
        const late = decodeLate(recordOf(batch, i));
        sources.add(late);
        for (const w of missed.keys()) missed[w]! += (late.windows >>> w) & 1;
        own.push(late);
      }
      own.splice(0, own.length - newestMax);
    });
    latest.push(...own);
  }
  const sightings = await Promise.all(latest.map((late) => sightingOf(late, options)));
  const scopesIn = (name: string) =>
    features.filter(({ window }) => window === name).map(({ scope }) => scope);
  return {
    ...counts,
    windows: windows.map(({ name }, w) => {
      return { window: name, scopes: [...new Set(scopesIn(name))], records: missed[w]! };
    }),
    sources: sources.report(),
    newest: sightings.toSorted((a, b) => seenMs(b) - seenMs(a)).slice(0, newestMax),
  };
}

/** When it came in; of what the log no longer has, the time it was behind of. */
function seenMs({ record, timeMs, behindMs }: LateSighting): number {
  return record?.receivedMs ?? timeMs + behindMs;
}

const sourceOf = ({ topic, partition }: LateRecord) => `${topic}/${partition}`;
const behindOf = ({ watermarkMs, timeMs }: LateRecord) => watermarkMs - timeMs;

/** Counts and lateness by where records came from, in fixed room. */
class Sources {
  readonly #metrics: SharedMetrics;
  readonly #largest = new Map<string, number>();

  constructor(log: ReadableLog) {
    const histograms = (["events", "served"] as const).flatMap((topic) =>
      Array.from({ length: log.partitions(topic) }, (_, partition) => `${topic}/${partition}`),
    );
    this.#metrics = SharedMetrics.create({ counters: [], histograms });
  }

  add(late: LateRecord): void {
    const source = sourceOf(late);
    const behindMs = behindOf(late);
    this.#metrics.observe(source, behindMs);
    this.#largest.set(source, Math.max(behindMs, this.#largest.get(source) ?? 0));
  }

  /** Those that had any, most first; frees the room. */
  report(): LateSource[] {
    const { histograms } = this.#metrics.read();
    const sources = histograms.map((reading, index) => {
      const source = this.#metrics.names.histograms[index]!;
      const behind = {
        msP50: reading.quantile(0.5),
        msP90: reading.quantile(0.9),
        msP99: reading.quantile(0.99),
        msMax: this.#largest.get(source) ?? Number.NaN,
      };
      return { source, records: reading.count, behind };
    });
    this.#metrics.release();
    return sources.filter(({ records }) => records > 0).toSorted((a, b) => b.records - a.records);
  }
}

async function sightingOf(late: LateRecord, options: LateOptions): Promise<LateSighting> {
  const { windows } = options.definition;
  return {
    source: sourceOf(late),
    offset: late.offset,
    timeMs: late.timeMs,
    behindMs: behindOf(late),
    missed: windows.filter((_, w) => ((late.windows >>> w) & 1) === 1).map(({ name }) => name),
    record: await recordBehind(late, options),
  };
}

async function recordBehind(late: LateRecord, { log, definition }: LateOptions) {
  const { topic, partition, offset } = late;
  const isKept =
    offset >= log.startOffset(topic, partition) && offset < log.endOffset(topic, partition);
  if (!isKept) return null;
  const bytes = recordOf(await log.read(topic, partition, offset, 1), 0);
  if (topic === "events") {
    const { type, user, item, receivedMs } = decodeEvent(bytes);
    const name = definition.interactions[type]?.name ?? `interaction ${type}`;
    return { receivedMs, what: `${name} of ${JSON.stringify(item)} by ${JSON.stringify(user)}` };
  }
  const { requestId, timeMs, items } = decodeServed(bytes);
  return { receivedMs: timeMs, what: `slate ${id128ToHex(requestId)}, ${items.length} items` };
}

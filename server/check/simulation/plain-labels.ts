import { assert } from "../../../models/core/assert.ts";
import { isNoId, noRow } from "../../../models/core/bytes.ts";
import { decodeEvent, type EventRecord } from "../../../models/core/event.ts";
import type { RecommenderDefinition } from "../../../models/definition/define.ts";
import { limits } from "../../../models/limits.ts";
import { decodeSample } from "../../../models/training/sample.ts";
import { decodeServed, type ServedRecord } from "../../../models/training/served.ts";
import { decidedMsOf, type LateRun } from "../../../workers/joiner/late-slates.ts";
import { recordOf, type Topic } from "../../../workers/stores/event-log.ts";
import { readAll } from "../../../workers/stores/read-all.ts";
import type { ReadableLog } from "../ordered-log.ts";

/** Labels by request and place: what training must end with, by the words of the rules. */
export type Labels = Map<string, number[]>;

interface Placed {
  readonly partition: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

async function recordsOf(log: ReadableLog, topic: Topic): Promise<Placed[]> {
  const records: Placed[] = [];
  for (let partition = 0; partition < log.partitions(topic); partition++) {
    await readAll(log, { topic, partition, offset: 0 }, (batch) => {
      for (let i = 0; i < batch.count; i++) {
        const offset = batch.firstOffset + i;
        records.push({ partition, offset, bytes: recordOf(batch, i).slice() });
      }
    });
  }
  return records;
}

/** A slate, and what had been decided when the joiner read it late; 0 where it read it in time. */
type ReadSlate = ServedRecord & { readonly decidedMs: number };

/** What a slate that is later than this after the decision would have got is not counted. */
const countedMs = 60_000;

/**
 * Each event labels the slate that it names, or its user's newest one with the item that left
 * before it happened and was received, and was read before the event was decided. `decidedEarly`:
 * events whose slate was read after that.
 */
export async function plainLabels(
  definition: RecommenderDefinition,
  { log, late }: { readonly log: ReadableLog; readonly late: readonly LateRun[] },
): Promise<{ labels: Labels; decidedEarly: number }> {
  const labels: Labels = new Map();
  const byRequest = new Map<string, ServedRecord>();
  const byUser = new Map<number, ReadSlate[]>();
  for (const { bytes, ...place } of await recordsOf(log, "served")) {
    const slate = { ...decodeServed(bytes), decidedMs: decidedMsOf(late, place) };
    const request = slate.requestId.join();
    byRequest.set(request, slate);
    const own = byUser.get(slate.userRow) ?? [];
    if (slate.userRow !== noRow) byUser.set(slate.userRow, [...own, slate]);
    slate.items.forEach((_, place) => {
      labels.set(
        `${request}/${place}`,
        definition.heads.map(() => 0),
      );
    });
  }
  const seen = new Set<string>();
  let decidedEarly = 0;
  for (const { bytes } of await recordsOf(log, "events")) {
    const event = decodeEvent(bytes);
    if (seen.has(event.id.join())) continue;
    seen.add(event.id.join());
    const ahead = event.timeMs > event.receivedMs + limits.futureLeadMs;
    const timeMs = ahead ? event.receivedMs : event.timeMs;
    if (!isNoId(event.requestId)) {
      const slate = byRequest.get(event.requestId.join());
      if (slate !== undefined) label(definition, labels, { slate, event, timeMs });
      continue;
    }
    const own = byUser.get(event.userRow) ?? [];
    const slate = newestWith(own, { event, timeMs, graceMs: 0 });
    if (slate !== undefined) label(definition, labels, { slate, event, timeMs });
    const whole = newestWith(own, { event, timeMs, graceMs: countedMs });
    if (whole === undefined || whole === slate) continue;
    if (headOf(definition, { slate: whole, event, timeMs }) >= 0) decidedEarly++;
  }
  return { labels, decidedEarly };
}

function newestWith(
  slates: readonly ReadSlate[],
  { event, timeMs, graceMs }: { event: EventRecord; timeMs: number; graceMs: number },
) {
  const { receivedMs, itemRow } = event;
  // Records may reach the log in another order than slates left.
  return slates
    .filter((slate) => slate.timeMs <= Math.min(timeMs, receivedMs))
    .filter((slate) => slate.decidedMs <= receivedMs + graceMs && slate.items.includes(itemRow))
    .reduce<ReadSlate | undefined>(
      (best, slate) => (best === undefined || slate.timeMs >= best.timeMs ? slate : best),
      undefined,
    );
}

interface Joined {
  readonly slate: ServedRecord;
  readonly event: EventRecord;
  readonly timeMs: number;
}

/** The head that an event labels in its slate; -1 where none, or where its window was over. */
function headOf(definition: RecommenderDefinition, { slate, event, timeMs }: Joined): number {
  const interaction = definition.interactions[event.type];
  if (interaction === undefined) return -1;
  if (timeMs > slate.timeMs + interaction.attributionMs) return -1;
  return definition.heads.findIndex((one) => one.interaction === interaction.name);
}

function label(definition: RecommenderDefinition, labels: Labels, of: Joined): void {
  const { slate, event } = of;
  const head = headOf(definition, of);
  if (head < 0) return;
  const own = labels.get(`${slate.requestId.join()}/${slate.items.indexOf(event.itemRow)}`);
  if (own === undefined) return;
  if (definition.heads[head]?.kind === "seconds") own[head] = own[head]! + event.value;
  else own[head] = 1;
}

/** What the samples say: the primary, and then each correction of a label. */
export async function sampledLabels(
  log: ReadableLog,
  differ: (text: string) => void,
): Promise<Labels> {
  const labels: Labels = new Map();
  for (const { bytes } of await recordsOf(log, "samples")) {
    const sample = decodeSample(bytes);
    const key = `${sample.requestId.join()}/${sample.position}`;
    const known = labels.get(key);
    if (sample.kind === "primary") {
      if (known !== undefined) differ(`${key} has two primary samples`);
      labels.set(key, [...sample.labels]);
      continue;
    }
    assert(known !== undefined, `${key} was corrected before it was sampled`);
    sample.labels.forEach((value, head) => {
      if (!Number.isNaN(value)) known[head] = value;
    });
  }
  return labels;
}

import { assert } from "../../../models/core/assert.ts";
import { isNoId, noRow } from "../../../models/core/bytes.ts";
import { decodeEvent, type EventRecord } from "../../../models/core/event.ts";
import type { RecommenderDefinition } from "../../../models/definition/define.ts";
import { limits } from "../../../models/limits.ts";
import { decodeSample } from "../../../models/training/sample.ts";
import { decodeServed, type ServedRecord } from "../../../models/training/served.ts";
import { recordOf, type Topic } from "../../../workers/stores/event-log.ts";
import { readAll } from "../../../workers/stores/read-all.ts";
import type { ReadableLog } from "../ordered-log.ts";

/** Labels by request and place: what training must end with, by the words of the rules. */
export type Labels = Map<string, number[]>;

async function recordsOf(log: ReadableLog, topic: Topic): Promise<Uint8Array[]> {
  const records: Uint8Array[] = [];
  for (let partition = 0; partition < log.partitions(topic); partition++) {
    await readAll(log, { topic, partition, offset: 0 }, (batch) => {
      for (let i = 0; i < batch.count; i++) records.push(recordOf(batch, i).slice());
    });
  }
  return records;
}

/**
 * Each event labels the slate that it names, or its user's newest one with the item that left
 * before it happened and was received.
 */
export async function plainLabels(
  definition: RecommenderDefinition,
  log: ReadableLog,
): Promise<Labels> {
  const labels: Labels = new Map();
  const byRequest = new Map<string, ServedRecord>();
  const byUser = new Map<number, ServedRecord[]>();
  for (const bytes of await recordsOf(log, "served")) {
    const slate = decodeServed(bytes);
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
  for (const bytes of await recordsOf(log, "events")) {
    const event = decodeEvent(bytes);
    if (seen.has(event.id.join())) continue;
    seen.add(event.id.join());
    const ahead = event.timeMs > event.receivedMs + limits.futureLeadMs;
    const timeMs = ahead ? event.receivedMs : event.timeMs;
    const slate = isNoId(event.requestId)
      ? newestWith(
          byUser.get(event.userRow) ?? [],
          event.itemRow,
          Math.min(timeMs, event.receivedMs),
        )
      : byRequest.get(event.requestId.join());
    if (slate !== undefined) label(definition, labels, { slate, event, timeMs });
  }
  return labels;
}

function newestWith(slates: readonly ServedRecord[], itemRow: number, timeMs: number) {
  // Records may reach the log in another order than slates left.
  return slates
    .filter((slate) => slate.timeMs <= timeMs && slate.items.includes(itemRow))
    .reduce<ServedRecord | undefined>(
      (best, slate) => (best === undefined || slate.timeMs >= best.timeMs ? slate : best),
      undefined,
    );
}

function label(
  definition: RecommenderDefinition,
  labels: Labels,
  of: { slate: ServedRecord; event: EventRecord; timeMs: number },
): void {
  const { slate, event, timeMs } = of;
  const interaction = definition.interactions[event.type];
  const head = definition.heads.findIndex((one) => one.interaction === interaction?.name);
  if (interaction === undefined || head < 0) return;
  if (timeMs > slate.timeMs + interaction.attributionMs) return;
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
  for (const bytes of await recordsOf(log, "samples")) {
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

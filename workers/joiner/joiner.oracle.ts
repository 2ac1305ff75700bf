import type { EventRecord } from "../../models/core/event.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import type { ServedRecord } from "../../models/training/served.ts";

/** What every served item must end with: key -> labels, by (request id, place). */
export function joinPlainly(
  definition: RecommenderDefinition,
  slates: readonly ServedRecord[],
  events: readonly EventRecord[],
  futureLeadMs: number,
): Map<string, number[]> {
  const labels = new Map<string, number[]>();
  for (const slate of slates) {
    for (let place = 0; place < slate.items.length; place++) {
      labels.set(`${slate.requestId.join()}/${place}`, new Array(definition.heads.length).fill(0));
    }
  }
  const seen = new Set<string>();
  for (const event of events) {
    if (seen.has(event.id.join())) continue;
    seen.add(event.id.join());
    const ahead = event.timeMs > event.receivedMs + futureLeadMs;
    const timeMs = ahead ? event.receivedMs : event.timeMs;
    const slate = slateOf(slates, event, timeMs);
    const interaction = definition.interactions[event.type];
    const head = definition.heads.findIndex(({ interaction: name }) => name === interaction?.name);
    if (slate === undefined || interaction === undefined || head < 0) continue;
    if (timeMs > slate.timeMs + interaction.attributionMs) continue;
    const own = labels.get(`${slate.requestId.join()}/${slate.items.indexOf(event.itemRow)}`);
    if (own === undefined) continue;
    if (definition.heads[head]?.kind === "seconds") {
      own[head] = Math.fround((own[head] ?? 0) + Math.max(0, event.value));
    } else own[head] = 1;
  }
  return labels;
}

function slateOf(
  slates: readonly ServedRecord[],
  event: EventRecord,
  timeMs: number,
): ServedRecord | undefined {
  const named = event.requestId.some((word) => word !== 0);
  const request = event.requestId.join();
  const fitting = slates.filter((slate) =>
    named
      ? slate.requestId.join() === request
      : slate.userRow === event.userRow && slate.timeMs <= Math.min(timeMs, event.receivedMs),
  );
  return fitting.filter((slate) => slate.items.includes(event.itemRow)).at(-1);
}

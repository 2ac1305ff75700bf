import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { impressionIndex, interactionIndex } from "../../models/features/catalog.ts";
import type { HistoryEvent, HistoryRow, HistoryTie, PlacedEvent } from "./read-history.ts";

interface OpenTie {
  readonly timeMs: number;
  readonly rows: HistoryRow[];
  readonly events: HistoryEvent[];
}

/** Heads that an interaction type is the label of, and how long after a row it still is. */
interface TypeLabels {
  readonly heads: readonly number[];
  readonly seconds: boolean;
  readonly attributionMs: number;
}

/**
 * Events in the order of time, one tie a millisecond (impressions first), with each impression as
 * a row whose labels are the later interactions of its user and item.
 */
export function labelRows(
  definition: RecommenderDefinition,
  events: readonly PlacedEvent[],
  heldFromMs: number,
): HistoryTie[] {
  const impression = impressionIndex(definition);
  const rank = (event: PlacedEvent) => (event.type === impression ? 0 : 1);
  const sorted = events.toSorted((a, b) => a.timeMs - b.timeMs || rank(a) - rank(b));
  const ties: OpenTie[] = [];
  const labels = definition.interactions.map((_, type) => labelsOf(definition, type));
  const open = new Map<string, HistoryRow>();
  for (const event of sorted) {
    const { timeMs } = event;
    if (ties.at(-1)?.timeMs !== timeMs) ties.push({ timeMs, rows: [], events: [] });
    ties.at(-1)?.events.push(event);
    const key = JSON.stringify([event.user, event.item]);
    if (event.type === impression) {
      const row = rowOf(event, definition.heads.length, heldFromMs);
      ties.at(-1)?.rows.push(row);
      open.set(key, row);
    } else label(open.get(key), event, labels[event.type]);
  }
  return ties;
}

function labelsOf(definition: RecommenderDefinition, type: number): TypeLabels {
  const heads = definition.heads.flatMap(({ interaction }, head) =>
    interactionIndex(definition, interaction) === type ? [head] : [],
  );
  const interaction = definition.interactions[type];
  return {
    heads,
    seconds: interaction?.value === "seconds",
    attributionMs: interaction?.attributionMs ?? 0,
  };
}

function rowOf(event: PlacedEvent, heads: number, heldFromMs: number): HistoryRow {
  const { user, item, timeMs, document } = event;
  const held = event.held || timeMs >= heldFromMs;
  return { user, item, timeMs, document, held, labels: new Float32Array(heads) };
}

function label(row: HistoryRow | undefined, event: PlacedEvent, of: TypeLabels | undefined): void {
  if (row === undefined || of === undefined) return;
  if (event.timeMs - row.timeMs > of.attributionMs) return;
  for (const head of of.heads) {
    row.labels[head] = of.seconds ? row.labels[head]! + event.value : 1;
  }
}

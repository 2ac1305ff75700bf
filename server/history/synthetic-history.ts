import { Random } from "../../models/core/random.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { impressionIndex } from "../../models/features/catalog.ts";
import { labelRows } from "./label-rows.ts";
import type { History, PlacedEvent } from "./read-history.ts";

const users = 60;
const items = 40;
const startMs = Date.UTC(2026, 0, 5);
const stepMs = 20_000;

/**
 * A small made-up history in which users and items differ in how readily they lead to each
 * interaction, so that a ranker has something to find. The last fifth is held.
 */
export function syntheticHistory(
  definition: RecommenderDefinition,
  seed: number,
  rows = 6_000,
): History {
  const random = new Random(seed);
  const tastes = Array.from({ length: users }, () => random.normal());
  const draws = Array.from({ length: items }, () => random.normal());
  const impression = impressionIndex(definition);
  const events: PlacedEvent[] = [];
  for (let i = 0; i < rows; i++) {
    const [user, item] = [random.int(users), random.int(items)];
    const liking = tastes[user]! + draws[item]! - 1;
    const shown = { user: `u${user}`, item: `i${item}`, timeMs: startMs + i * stepMs };
    const base = { ...shown, value: 0, document: null, held: false };
    events.push({ ...base, type: impression });
    definition.interactions.forEach((interaction, type) => {
      if (type === impression || random.next() > 1 / (1 + Math.exp(-liking))) return;
      const value = interaction.value === "none" ? 0 : Math.exp(2 + 0.5 * liking);
      events.push({ ...base, type, value, timeMs: base.timeMs + 1_000 });
    });
  }
  const ties = labelRows(definition, events, startMs + 0.8 * rows * stepMs);
  const documents = Array.from({ length: items }, (_, i) => {
    return { item: `i${i}`, document: { durationSeconds: 10 + i } };
  });
  return { documents, ties, rows };
}

import { ManualClock } from "../../../models/core/clock.ts";
import { Random } from "../../../models/core/random.ts";
import definition from "../../../models/definition/default.ts";
import { writeSequenceRecord } from "../../../models/features/sequence-record.ts";
import { rankerShapeOf } from "../../../models/ranking/definition-shape.ts";
import { createRanker } from "../../../models/ranking/ranker.ts";
import type { SlateRules } from "../../../models/ranking/slate-rules.ts";
import { GenerationHolder, type IndexGeneration } from "../../../models/recall/generation.ts";
import { createSharedState, type SharedState } from "../../shared-state.ts";
import { FakeEventLog } from "../../stores/event-log.fake.ts";
import type { ItemAttributes } from "../../stores/item-attributes.ts";
import { openDocumentStore } from "../../stores/open.ts";
import { createRankingEngine } from "../build.ts";

/** A world of some hundred items over the real tables, kernels and encoder, for tests. */

export const startMs = 1_750_000_000_000;
export const categoryCount = 8;

export function attributesOf(values: Partial<ItemAttributes>): ItemAttributes {
  return {
    categories: Int32Array.of(-1, -1, -1, -1),
    publishedAtMs: startMs - 3_600_000,
    expiresAtMs: 0,
    durationSeconds: 30,
    hidden: false,
    deleted: false,
    known: true,
    authorHash: 7,
    ...values,
  };
}

function fillItems(state: SharedState, items: number): void {
  for (let c = 0; c < categoryCount; c++) state.categories.intern(`c${c}`);
  const record = new Uint32Array(1);
  for (let row = 0; row < items; row++) {
    state.items.intern(`i${row}`);
    const categories = Int32Array.of(row % categoryCount, -1, -1, -1);
    state.itemAttributes.write(row, attributesOf({ categories }));
    if (row < items - 100) continue;
    record[0] = row;
    state.fresh.push(0, record, -1);
  }
}

/** Trending: item r in place r, of all and of each category. */
export function fillTrending(state: SharedState, items: number): void {
  for (let list = 0; list <= categoryCount; list++) {
    const rows = Array.from({ length: items }, (_, row) => row).filter(
      (row) => list === 0 || row % categoryCount === list - 1,
    );
    const kept = rows.slice(0, 200);
    const records = new Uint32Array(kept.length * 2);
    const bits = new Float32Array(records.buffer);
    kept.forEach((row, i) => {
      records[2 * i] = row;
      bits[2 * i + 1] = 1 / (1 + i);
    });
    state.trending.replace(list, records, kept.length);
  }
}

/** The neighbours of item r are the items after it. */
export function generationOf(items: number, generation = 1): IndexGeneration {
  const perItem = 20;
  const neighbours = Int32Array.from(
    { length: items * perItem },
    (_, at) => (Math.floor(at / perItem) + (at % perItem) + 1) % items,
  );
  const weights = Float32Array.from(
    { length: items * perItem },
    (_, at) => 1 / (1 + (at % perItem)),
  );
  return {
    generation,
    builtAtMs: startMs,
    itemToItem: { neighbours, weights, perItem, rows: items },
    vectors: { dim: 1, data: new Float32Array(items), has: new Uint8Array(items) },
    popular: { rows: new Int32Array(0), scores: new Float32Array(0) },
    graph: 0,
  };
}

export function publishModel(state: SharedState, version: number, seed = version): void {
  const slot = state.slots.acquire();
  const ranker = createRanker(rankerShapeOf(definition));
  const weights = new Float32Array(ranker.floats);
  ranker.initialise(new Random(seed), weights);
  ranker.fillSlot(weights, state.slots.weights(slot));
  state.slots.publish(slot, version);
}

export function smallState(items: number, users = 50): SharedState {
  const limits = {
    usersMax: 1_000,
    itemsMax: Math.max(1_000, items),
    categoriesMax: 64,
    userCategoryPairsMax: 10_000,
    readersMax: 16,
  };
  const modelFloats = createRanker(rankerShapeOf(definition)).slotFloats;
  const state = createSharedState(definition, { dataDir: null, modelFloats, limits });
  fillItems(state, items);
  fillTrending(state, items);
  for (let row = 0; row < users; row++) state.users.intern(`u${row}`);
  return state;
}

/** User `row` clicked `items`, a second apart, the last a second ago. */
export function clicked(state: SharedState, row: number, items: readonly number[]): void {
  const record = new Uint32Array(4);
  items.forEach((itemRow, i) => {
    const timeMs = startMs - 1_000 * (items.length - i);
    writeSequenceRecord({ itemRow, type: 1, timeMs }, record);
    state.recent.push(row, record, -1);
  });
}

export function smallWorld(options: { items?: number; rules?: SlateRules; seed?: number } = {}) {
  const items = options.items ?? 400;
  const state = smallState(items);
  const log = new FakeEventLog();
  const clock = new ManualClock(startMs);
  const generations = new GenerationHolder(0);
  const documents = openDocumentStore({ dataDir: null });
  const puts = Array.from({ length: items }, (_, row) => ({
    ...{ kind: "item" as const, row, id: `i${row}` },
    json: JSON.stringify({ title: `Item ${row}` }),
  }));
  documents.apply(puts, 0);
  generations.adopt(generationOf(items));
  const engine = createRankingEngine({
    ...{ definition, state, generations, log, documents, clock },
    random: new Random(options.seed ?? 1),
    timer: null,
    readers: [0, 1],
    rules: options.rules ?? { explorationShare: 0, categoryPenalty: 0 },
  });
  return { state, log, clock, generations, documents, engine, items };
}

import { viewOf } from "../../models/core/bytes.ts";
import { eventAt } from "../../models/core/event.ts";
import { Random } from "../../models/core/random.ts";
import { InteractionWeights } from "../../models/recall/interaction-weights.ts";
import { recordOf } from "../../workers/stores/event-log.ts";
import { readAll } from "../../workers/stores/read-all.ts";
import type { Storage } from "../assembly/storage.ts";

/** What a person reads to judge slates: titles, and whether they are of the user's categories. */
export interface TitledItem {
  readonly id: string;
  readonly title: string;
  readonly categories: readonly string[];
}

export interface TasteOfUser {
  readonly user: string;
  /** The categories he took to most, most first. */
  readonly top: readonly string[];
  readonly liked: readonly TitledItem[];
  readonly slate: readonly TitledItem[];
  readonly slateShare: number;
  readonly popularShare: number;
}

export interface TasteReport {
  readonly users: readonly TasteOfUser[];
  readonly items: readonly { readonly item: TitledItem; readonly similar: readonly TitledItem[] }[];
  /** Means over all users that were asked for. */
  readonly slateShare: number;
  readonly popularShare: number;
  readonly asked: number;
}

/** Answers over HTTP, or however the caller asks. */
export type AskItems = (
  path: string,
  body: Readonly<Record<string, unknown>> | null,
) => Promise<readonly string[]>;

const topCategories = 3;
const historyLeast = 10;

/** Items that each user took to, oldest first, and how many took to each item. */
async function readTastes({ definition, log }: Storage) {
  const weights = new InteractionWeights(definition.interactions);
  const liked = new Map<number, Set<number>>();
  const counts = new Map<number, number>();
  const from = { topic: "events", partition: 0, offset: 0 } as const;
  await readAll(log, from, (batch) => {
    for (let i = 0; i < batch.count; i++) {
      const view = viewOf(recordOf(batch, i));
      const value = view.getFloat32(eventAt.value, true);
      if (weights.of(view.getUint8(eventAt.type), value) < 1) continue;
      const item = view.getUint32(eventAt.itemRow, true);
      const user = view.getUint32(eventAt.userRow, true);
      const items = liked.get(user) ?? new Set();
      if (items.has(item)) continue;
      liked.set(user, items.add(item));
      counts.set(item, (counts.get(item) ?? 0) + 1);
    }
  });
  return { liked, counts };
}

/** Looks documents up and keeps them. */
class Titles {
  readonly #storage: Storage;
  readonly #known = new Map<string, TitledItem>();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  async of(ids: readonly string[]): Promise<TitledItem[]> {
    const items: TitledItem[] = [];
    for (const id of ids) items.push(this.#known.get(id) ?? (await this.#read(id)));
    return items;
  }

  async #read(id: string): Promise<TitledItem> {
    const json = await this.#storage.ingest.documents.get("item", id);
    const { title = id, categories = [] } = json === null ? {} : JSON.parse(json);
    const item = { id, title, categories };
    this.#known.set(id, item);
    return item;
  }
}

/** Share of the items that are of one of the categories. */
export function shareOf(items: readonly TitledItem[], categories: readonly string[]): number {
  const of = items.filter((item) => item.categories.some((one) => categories.includes(one)));
  return of.length / Math.max(1, items.length);
}

/** The categories of most of the items; of a tie the one that came first. */
export function topOf(items: readonly TitledItem[]): string[] {
  const counts = new Map<string, number>();
  for (const { categories } of items) {
    for (const one of categories) counts.set(one, (counts.get(one) ?? 0) + 1);
  }
  const order = [...counts].sort((a, b) => b[1] - a[1]);
  return order.slice(0, topCategories).map(([name]) => name);
}

export interface TasteOptions {
  readonly storage: Storage;
  readonly ask: AskItems;
  readonly n: number;
  /** Users and items that are shown; the means are over `asked` users. */
  readonly shown: number;
  readonly asked: number;
  readonly seed: number;
}

/**
 * Slates of users drawn at random among those with a history, beside the popular list, and items
 * like the best known ones. Asks for real slates, which are recorded as any other.
 */
export async function checkTaste(options: TasteOptions): Promise<TasteReport> {
  const { storage, ask, n, shown } = options;
  const { liked, counts } = await readTastes(storage);
  const random = new Random(options.seed);
  const known = [...liked].filter(([, items]) => items.size >= historyLeast);
  const drawn = known
    .map((entry) => ({ entry, key: random.next() }))
    .sort((a, b) => a.key - b.key)
    .slice(0, options.asked)
    .map(({ entry }) => entry);
  const titles = new Titles(storage);
  const popular = await titles.of(await ask(`/v1/popular?n=${n}`, null));
  const users: TasteOfUser[] = [];
  for (const [row, items] of drawn) {
    const history = [...items].map((item) => storage.state.items.id(item));
    const user = storage.state.users.id(row);
    const slate = await titles.of(await ask("/v1/recommend", { user, n }));
    const all = await titles.of(history);
    const top = topOf(all);
    const shares = { slateShare: shareOf(slate, top), popularShare: shareOf(popular, top) };
    users.push({ user, top, liked: all.slice(-n), slate, ...shares });
  }
  const best = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 10 * shown);
  const items: TasteReport["items"][number][] = [];
  for (let i = 0; i < best.length; i += 10) {
    const id = storage.state.items.id(best[i]![0]);
    const [item] = await titles.of([id]);
    const path = `/v1/items/${encodeURIComponent(id)}/similar?n=${n}`;
    items.push({ item: item!, similar: await titles.of(await ask(path, null)) });
  }
  const mean = (of: (one: TasteOfUser) => number) =>
    users.reduce((sum, one) => sum + of(one), 0) / Math.max(1, users.length);
  return {
    ...{ users: users.slice(0, shown), items, asked: users.length },
    slateShare: mean((one) => one.slateShare),
    popularShare: mean((one) => one.popularShare),
  };
}

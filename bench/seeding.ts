import { RecError } from "../models/core/errors.ts";
import { Random } from "../models/core/random.ts";
import type { ClientEvent } from "../workers/simulator/port.ts";
import { Population } from "../workers/simulator/user-model.ts";
import { World } from "../workers/simulator/world.ts";

export interface SeedSizes {
  readonly items: number;
  readonly users: number;
  readonly eventsPerUser: number;
  readonly seed: number;
  /** When the events begin; they take less than a minute. Default: a minute ago. */
  readonly startMs?: number;
}

/** Posts a batch; what the server refuses stops the benchmark. */
async function post(url: string, batch: readonly unknown[]): Promise<void> {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(batch);
  for (let attempt = 0; ; attempt++) {
    const response = await fetch(url, { method: "POST", headers, body });
    const text = await response.text();
    if (response.ok) return;
    if (response.status < 500 || attempt >= 20) {
      throw new RecError("REC_BENCH_SEED", `${url} answered ${response.status}: ${text}`);
    }
    await Bun.sleep(100);
  }
}

/**
 * Fills a server through its own door: item documents, user documents, and for each user
 * impressions of items in her favourite category, every second one clicked. Within a category a few
 * items draw most of the interest, so that items are taken to together and recall by co-occurrence
 * has something to find.
 */
export async function seedServer(port: number, sizes: SeedSizes): Promise<void> {
  const world = new World({ ...sizes, startMs: sizes.startMs ?? Date.now() - 60_000 });
  const population = new Population(world);
  const random = new Random(sizes.seed);
  const url = `http://127.0.0.1:${port}/v1`;
  for (let from = 0; from < sizes.items; from += 1_000) {
    const count = Math.min(1_000, sizes.items - from);
    await post(
      `${url}/items`,
      Array.from({ length: count }, (_, i) => world.documentOf(from + i)),
    );
  }
  for (let from = 0; from < sizes.users; from += 1_000) {
    const count = Math.min(1_000, sizes.users - from);
    const users = Array.from({ length: count }, (_, i) => ({ id: `u${from + i}`, country: "de" }));
    await post(`${url}/users`, users);
  }
  const byCategory = itemsByCategory(world);
  let batch: ClientEvent[] = [];
  for (let user = 0; user < sizes.users; user++) {
    const favourite = population.favourite(user, 0, world.options.startMs);
    batch.push(...history(user, byCategory[favourite] ?? [0], { random, sizes, world }));
    if (batch.length < 4_000 && user < sizes.users - 1) continue;
    await post(`${url}/events`, batch);
    batch = [];
  }
}

/** 1 would be even; with 3 the first tenth of the items gets nearly half of the interest. */
const interestSkew = 3;

/** Item numbers by the number of their first category; no list is empty. */
export function itemsByCategory(world: World): number[][] {
  const out: number[][] = Array.from({ length: world.options.categories }, () => []);
  world.category.forEach((category, slot) => {
    out[category]!.push(slot);
  });
  return out.map((slots) => (slots.length === 0 ? [0] : slots));
}

function history(
  user: number,
  slots: readonly number[],
  from: { random: Random; sizes: SeedSizes; world: World },
): ClientEvent[] {
  const { random, sizes, world } = from;
  return Array.from({ length: sizes.eventsPerUser }, (_, i) => ({
    id: `seed-${user}-${i}`,
    type: i % 2 === 1 ? "click" : "impression",
    user: `u${user}`,
    item: `i${slots[Math.floor(slots.length * random.next() ** interestSkew)]}`,
    time: Math.floor(world.options.startMs + random.int(50_000)),
  }));
}

import { Random } from "../models/core/random.ts";
import { limits } from "../models/limits.ts";
import { World } from "../workers/simulator/world.ts";
import { httpRequest, LoadClient } from "./open-loop.ts";
import { itemsByCategory, type SeedSizes, seedServer } from "./seeding.ts";

/**
 * Four of five events of the fill are clicks, the only ones that the joiner and recall keep: so
 * many fill both generations of the joiner's ids, which take turns from then on, and recall's
 * window, which holds half as many.
 */
export const fillEventsDefault = 1.3 * limits.dedupIdsMax;

/** Of event time. Batches that overtake each other are then still less apart than may be. */
const fillMs = 6 * 3_600_000;
const batchEvents = 5_000;
const atOnce = 2;

/**
 * Seeds a server as of some hours ago, then sends so many events of the same users and items, in
 * the order of their times, until now, each with an id of its own. So what is bounded and slow to
 * fill is full before a run: the ids that deduplication remembers, the interactions that recall
 * reads, and the rings of panes of every user and category, who meet in turn. Resolves with the
 * world that it was seeded with.
 */
export async function seedAndFill(
  port: number,
  sizes: SeedSizes & { readonly fillEvents: number },
): Promise<World> {
  const endMs = Date.now();
  const startMs = endMs - fillMs;
  await seedServer(port, { ...sizes, startMs: startMs - 60_000 });
  const world = new World({ ...sizes, startMs });
  await fillStores(port, { ...sizes, world, endMs });
  return world;
}

async function fillStores(
  port: number,
  sizes: { fillEvents: number; users: number; world: World; seed: number; endMs: number },
): Promise<void> {
  const client = new LoadClient({ port, keepBodies: true });
  await client.open(atOnce);
  const random = new Random(sizes.seed);
  const byCategory = itemsByCategory(sizes.world);
  const { startMs } = sizes.world.options;
  const perEventMs = (sizes.endMs - startMs) / sizes.fillEvents;
  const eventOf = (i: number) => {
    const slots = byCategory[Math.floor(i / sizes.users) % byCategory.length] ?? [0];
    return {
      id: `fill-${i}`,
      type: random.int(5) === 0 ? "impression" : "click",
      user: `u${i % sizes.users}`,
      item: `i${slots[random.int(slots.length)]}`,
      time: Math.floor(startMs + i * perEventMs),
    };
  };
  let sent = 0;
  const sendOn = async () => {
    while (sent < sizes.fillEvents) {
      const count = Math.min(batchEvents, sizes.fillEvents - sent);
      const from = sent;
      sent += count;
      const events = Array.from({ length: count }, (_, i) => eventOf(from + i));
      const request = httpRequest("POST", "/v1/events", events);
      // A full queue refuses; the batch is sent again, its ids make that safe.
      while ((await client.request(request)).status !== 200) await Bun.sleep(200);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, sendOn));
  client.close();
}

import { Random } from "../../models/core/random.ts";
import type { World } from "../../workers/simulator/world.ts";
import { httpRequest, LoadClient } from "../open-loop.ts";
import { itemsByCategory } from "../seeding.ts";

const batchEvents = 5_000;
const atOnce = 2;

/**
 * Sends so many events of the seeded users and items, each with an id of its own. Every user meets
 * every category in turn, so that the counters of all pairs of them are there before the run.
 */
export async function fillStores(
  port: number,
  sizes: { fillEvents: number; users: number; world: World; seed: number },
): Promise<void> {
  const client = new LoadClient({ port, keepBodies: true });
  await client.open(atOnce);
  const random = new Random(sizes.seed);
  const byCategory = itemsByCategory(sizes.world);
  const eventOf = (i: number) => {
    const slots = byCategory[Math.floor(i / sizes.users) % byCategory.length] ?? [0];
    return {
      id: `fill-${i}`,
      type: random.int(4) === 0 ? "click" : "impression",
      user: `u${i % sizes.users}`,
      item: `i${slots[random.int(slots.length)]}`,
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

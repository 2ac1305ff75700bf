import { Random } from "../../models/core/random.ts";
import { httpRequest, LoadClient } from "../open-loop.ts";

const batchEvents = 5_000;
const atOnce = 2;

/** Sends so many events of the seeded users and items, each with an id of its own. */
export async function fillDedup(
  port: number,
  sizes: { fillEvents: number; users: number; items: number; seed: number },
): Promise<void> {
  const client = new LoadClient({ port, keepBodies: true });
  await client.open(atOnce);
  const random = new Random(sizes.seed);
  let sent = 0;
  const sendOn = async () => {
    while (sent < sizes.fillEvents) {
      const count = Math.min(batchEvents, sizes.fillEvents - sent);
      const from = sent;
      sent += count;
      const events = Array.from({ length: count }, (_, i) => ({
        id: `fill-${from + i}`,
        type: random.int(4) === 0 ? "click" : "impression",
        user: `u${random.int(sizes.users)}`,
        item: `i${random.int(sizes.items)}`,
      }));
      const request = httpRequest("POST", "/v1/events", events);
      // A full queue refuses; the batch is sent again, its ids make that safe.
      while ((await client.request(request)).status !== 200) await Bun.sleep(200);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, sendOn));
  client.close();
}

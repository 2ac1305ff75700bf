/**
 * The v1 contract in a page, for the tests of the benchmarks: it answers random-looking slates,
 * lets clicks take effect a moment after their answer, and refuses beyond so many requests at once.
 */

const clicks = new Map<string, number>();
const inFlightMax = 64;
let inFlight = 0;
let itemCount = 1;

async function recommend(request: Request): Promise<Response> {
  if (inFlight >= inFlightMax) return new Response("busy", { status: 503 });
  inFlight++;
  const { user, n, explain } = JSON.parse(await request.text());
  await Bun.sleep(2);
  inFlight--;
  const from = (user.length * 31) % itemCount;
  const items = Array.from({ length: n }, (_, i) => ({ id: `i${(from + i) % itemCount}` }));
  const clickShare = (clicks.get(user) ?? 0) > 0 ? 1 : 0;
  const stages = [
    { stage: "recall", kept: 100, counts: { trending: 100 } },
    { stage: "model", kept: 100, counts: {} },
  ];
  const features = { user: { "user.recent50.clickShare": clickShare } };
  const more = explain === true ? { explain: stages, features } : {};
  return Response.json({ requestId: "0".repeat(32), items, degraded: [], ...more });
}

async function events(request: Request): Promise<Response> {
  const batch: { type: string; user: string }[] = JSON.parse(await request.text());
  setTimeout(() => {
    for (const { type, user } of batch) {
      if (type === "click") clicks.set(user, (clicks.get(user) ?? 0) + 1);
    }
  }, 10);
  return Response.json({ accepted: batch.length, duplicates: 0, rejected: [] });
}

/** What `--command` runs. */
export const fakeServer = `${process.execPath} ${import.meta.path}`;

function serve(): void {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: Number(process.env.PORT ?? 0),
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/v1/recommend") return await recommend(request);
      if (pathname === "/v1/events") return await events(request);
      if (pathname === "/v1/items") itemCount += JSON.parse(await request.text()).length;
      return Response.json({ ok: true });
    },
  });

  process.on("SIGTERM", async () => {
    await server.stop(true);
    process.exit(0);
  });
}

if (import.meta.main) serve();

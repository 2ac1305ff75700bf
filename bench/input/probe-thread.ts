import { httpRequest, LoadClient } from "../open-loop.ts";

declare const self: Worker;

/**
 * Asks `/healthz` of a port again and again until told to end, then posts the longest wait, ms.
 * A thread of its own: the one that sends large bodies would measure itself.
 */
const ask = httpRequest("GET", "/healthz");
let running = true;

async function probe(port: number): Promise<void> {
  const client = new LoadClient({ port, connectionsMax: 1 });
  await client.open(1);
  for (let i = 0; i < 50; i++) await client.request(ask);
  self.postMessage(0);
  let longest = 0;
  // The request under way at the end counts too.
  while (running) longest = Math.max(longest, (await client.request(ask)).latencyMs);
  client.close();
  self.postMessage(longest);
}

self.onmessage = (event: MessageEvent<number | "end">) => {
  if (event.data === "end") running = false;
  else void probe(event.data);
};

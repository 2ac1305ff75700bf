import type { ManualClock } from "../../../../models/core/clock.ts";
import { wholeOf } from "../../../../workers/stores/checkpoint-store.ts";
import { saveWindows } from "../../../../workers/windows/checkpoint.ts";
import type { SimulatedClients } from "../clients.ts";
import type { SimulatedServer } from "../simulated-server.ts";

/** Steps everything and keeps a checkpoint of everything, so often that segments become old. */
export async function live(
  server: SimulatedServer,
  { clients, clock, rounds }: { clients: SimulatedClients; clock: ManualClock; rounds: number },
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    clock.advanceTo(clock.nowMs() + 20_000);
    await clients.sendEvents(server);
    await clients.askSlate(server);
    // Its record lingers some turns: a checkpoint between would make a start note its items again.
    for (let turns = 600; turns > 0; turns--) await null;
    for (let i = 0; i < 3; i++) await clients.putDocument(server);
    for (const windows of [server.windows, server.windows1]) await windows?.step();
    for (const joiner of [server.joiner, server.joiner1]) await joiner?.step();
    await server.trainer?.step();
    if (round % 5 !== 4) continue;
    for (const windows of [server.windows, server.windows1]) await windows?.checkpoint();
    await server.ingest.checkpoint();
    server.trainer?.snapshot();
  }
}

/** What must be the same after a restart. */
export function stateOf({ state, windows, windows1, trainer }: SimulatedServer) {
  const tables = [state.users, state.items, state.categories];
  const rows = Int32Array.from({ length: state.items.size }, (_, row) => row);
  const attributes = new Uint8Array(rows.length * state.itemAttributes.table.rowBytes);
  state.itemAttributes.table.read(rows, rows.length, attributes);
  const roles = [windows, windows1].flatMap((share) => share?.roles ?? []);
  const saved = roles
    .flatMap(({ core }) => saveWindows(core))
    .map(({ name, bytes }) => [name, textOf(name, wholeOf(bytes))]);
  for (const { core } of roles) core.ids.release();
  return {
    learned: trainer?.trainer.readOffset,
    names: tables.map((table) => Buffer.from(table.save(0, table.size)).toString("hex")),
    attributes: Buffer.from(attributes).toString("hex"),
    windows: saved,
  };
}

/** Ids stand in places that hang on when their table grew. */
function textOf(name: string, bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString("hex");
  if (!name.startsWith("ids.")) return text;
  const places = text.match(/.{32}/g) ?? [];
  return places
    .filter((place) => !/^0+$/.test(place))
    .toSorted()
    .join();
}

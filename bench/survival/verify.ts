import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hash128, id128ToHex, noRow, readId128, viewOf } from "../../models/core/bytes.ts";
import { RecError } from "../../models/core/errors.ts";
import { decodeDocument, decodeEvent, eventAt } from "../../models/core/event.ts";
import { servedAt, servedUserRow } from "../../models/training/served-view.ts";
import { recordOf, type Topic } from "../../workers/stores/event-log.ts";
import { knownPartitions, openDocumentStore, openEventLog } from "../../workers/stores/open.ts";
import { readAll } from "../../workers/stores/read-all.ts";
import type { Ledger } from "./ledger.ts";
import { titleOf } from "./mixed-load.ts";

/** What a client would find missing or wrong in a data folder. */
export interface Verified {
  readonly events: number;
  /** Acknowledged and not in the log. */
  readonly eventsLost: number;
  /** In the log more than once. */
  readonly eventsTwice: number;
  /** Acknowledged, and the store holds an older one or none. */
  readonly documentsLost: number;
  /** Slates whose user row belongs to another user by now. */
  readonly slatesOfOthers: number;
}

/** What `check state` said: exit code and counts. */
export interface StateVerdict {
  readonly exitCode: number;
  readonly differing: number;
  readonly differingShare: number;
  readonly records: Readonly<Record<string, number>>;
  readonly output: string;
}

/** A copy of what a start reads, in a folder of its own. The embeddings follow from the log. */
export function copyOf(dataDir: string): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "recmaster-copy-"));
  const filter = (source: string) => !/\/(embeddings|models|lock\.sqlite.*)$/.test(source);
  cpSync(dataDir, path, { recursive: true, filter });
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Runs `check state` as its own process on a folder that nobody uses. */
export async function checkStateOf(
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
): Promise<StateVerdict> {
  const main = join(import.meta.dir, "..", "..", "server", "main.ts");
  const args = ["check", "state", "--data-dir", dataDir, "--json"];
  const child = Bun.spawn([process.execPath, main, ...args], {
    env: { ...process.env, ...env },
    ...{ stdout: "pipe", stderr: "inherit" },
  });
  const output = await new Response(child.stdout).text();
  const exitCode = await child.exited;
  const last = output.trimEnd().split("\n").at(-1) ?? "";
  if (!last.startsWith("{")) {
    throw new RecError("REC_BENCH_CHECK", `check state ended with ${exitCode}: ${output}`);
  }
  const { differing, differingShare, records } = JSON.parse(last);
  return { exitCode, differing, differingShare, records, output };
}

/** Holds a folder that nobody uses to what the clients were told. */
export async function verify(dataDir: string, ledger: Ledger): Promise<Verified> {
  const known = (topic: Topic) => knownPartitions(dataDir, topic);
  const topics = { events: known("events"), served: known("served"), items: known("items") };
  const log = openEventLog("embedded:", { dataDir, topics, durability: "async" });
  const times = new Map<string, number>();
  const users: (string | undefined)[] = [];
  const items = new Map<string, number>();
  let slatesOfOthers = 0;
  const all = async (topic: keyof typeof topics, take: (record: Uint8Array) => void) => {
    for (let partition = 0; partition < topics[topic]; partition++) {
      await readAll(log, { topic, partition, offset: 0 }, (batch) => {
        for (let i = 0; i < batch.count; i++) take(recordOf(batch, i));
      });
    }
  };
  await all("events", (record) => {
    const id = id128ToHex(readId128(viewOf(record), eventAt.id));
    times.set(id, (times.get(id) ?? 0) + 1);
    const { userRow, user } = decodeEvent(record);
    users[userRow] ??= user;
  });
  await all("items", (record) => {
    const { kind, id, row } = decodeDocument(record);
    if (kind === "item") items.set(id, row);
  });
  await all("served", (record) => {
    const view = viewOf(record);
    const user = ledger.slates.get(id128ToHex(readId128(view, servedAt.requestId)));
    const row = servedUserRow(view, 0);
    if (user === undefined || row === noRow) return;
    if (users[row] !== undefined && users[row] !== user) slatesOfOthers++;
  });
  await log.close();
  const timesOf = (id: string) => times.get(id128ToHex(hash128(id))) ?? 0;
  return {
    events: times.size,
    eventsLost: ledger.acknowledged.filter((id) => timesOf(id) === 0).length,
    eventsTwice: [...times.values()].filter((count) => count > 1).length,
    documentsLost: await documentsLost(dataDir, ledger, items),
    slatesOfOthers,
  };
}

async function documentsLost(
  dataDir: string,
  ledger: Ledger,
  rows: ReadonlyMap<string, number>,
): Promise<number> {
  const store = openDocumentStore({ dataDir });
  let lost = 0;
  for (const [item, { acknowledged, sent }] of ledger.documents) {
    if (acknowledged === 0) continue;
    const [found] = await store.getMany("item", [rows.get(item) ?? noRow]);
    const versions = Array.from({ length: sent - acknowledged + 1 }, (_, i) => acknowledged + i);
    if (!versions.some((version) => found?.json.includes(`"${titleOf(version)}"`))) lost++;
  }
  store.close();
  return lost;
}

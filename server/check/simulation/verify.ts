import { hash128, id128ToHex, noRow } from "../../../models/core/bytes.ts";
import { decodeDocument, decodeEvent } from "../../../models/core/event.ts";
import type { EmbeddingTable } from "../../../native/index.ts";
import { decidedMsOf, type LateRun } from "../../../workers/joiner/late-slates.ts";
import { decidedAfterMs } from "../../../workers/joiner/pace.ts";
import type { SharedState } from "../../../workers/shared-state.ts";
import { recordOf } from "../../../workers/stores/event-log.ts";
import { readAll } from "../../../workers/stores/read-all.ts";
import { InterleavedSamples } from "../../../workers/trainer/interleaved-samples.ts";
import { makeTrainerRole } from "../../../workers/trainer/make.ts";
import { checkSkew } from "../check-skew.ts";
import { compareState } from "../check-state.ts";
import type { SimulationLedger } from "./ledger.ts";
import { type Labels, plainLabels, sampledLabels } from "./plain-labels.ts";
import { type SimulatedServer, smallState } from "./simulated-server.ts";

type Differ = (text: string) => void;

/**
 * Holds a server that has taken in everything to the invariants of the design: what was
 * acknowledged is in the log once; windows, samples and weights are what a run without faults
 * makes of that log; every served feature follows from it.
 */
export async function verifySimulation(
  { server, late }: { readonly server: SimulatedServer; readonly late: readonly LateRun[] },
  ledger: SimulationLedger,
  differ: Differ,
): Promise<void> {
  await verifyAcknowledged(server, ledger, differ);
  await verifyDocuments(server, ledger, differ);
  const { log, state, store } = server;
  const { definition } = server.options;
  const compared = await compareState(
    { definition, state, log, store },
    { shownMax: 5, twice: true },
  );
  for (const text of compared.differences.shown) differ(text);
  const skew = await checkSkew({ log, definition, shownMax: 5 });
  for (const text of skew.differences.shown) differ(text);
  if (skew.unexplained > 0) differ(`${skew.unexplained} served rows are explained by no commit`);
  ledger.meet("served rows checked", skew.rows);
  await verifyLabels({ server, late }, ledger, differ);
  await verifyWeights(server, ledger, differ);
}

async function verifyAcknowledged(
  { log, options: { definition } }: SimulatedServer,
  { acknowledged }: SimulationLedger,
  differ: Differ,
): Promise<void> {
  const found = new Map<string, string>();
  for (let partition = 0; partition < log.partitions("events"); partition++) {
    await readAll(log, { topic: "events", partition, offset: 0 }, (batch) => {
      for (let i = 0; i < batch.count; i++) {
        const event = decodeEvent(recordOf(batch, i));
        const type = definition.interactions[event.type]?.name;
        const what = [event.user, event.item, type, event.timeMs, event.value].join(" ");
        found.set(id128ToHex(event.id), what);
      }
    });
  }
  for (const event of acknowledged.values()) {
    const is = found.get(id128ToHex(hash128(event.id)));
    const should = [event.user, event.item, event.type, event.time, event.value ?? 0].join(" ");
    if (is !== should) differ(`event ${event.id} was acknowledged as ${should}, the log has ${is}`);
  }
}

async function verifyDocuments(
  { log, state, store }: SimulatedServer,
  { documents }: SimulationLedger,
  differ: Differ,
): Promise<void> {
  const titles = new Map<number, number>();
  await readAll(log, { topic: "items", partition: 0, offset: 0 }, (batch) => {
    for (let i = 0; i < batch.count; i++) {
      const { row, json } = decodeDocument(recordOf(batch, i));
      titles.set(row, Number(JSON.parse(json).title));
    }
  });
  for (const [item, number] of documents) {
    const row = state.items.find(item);
    if (row < 0 || !titles.has(row)) differ(`the document of ${item} was acknowledged and is gone`);
    const [stored] = await store.getMany("item", [row < 0 ? noRow : row]);
    const title = stored === undefined || stored === null ? -1 : titles.get(row);
    // Later ones of other clients may have come; an older one may not stand.
    if (title === undefined || title < 0) differ(`${item} has no stored document, not ${number}`);
  }
}

/** Labels of all samples, and which interactions were decided before their slate was read. */
async function verifyLabels(
  { server, late }: { readonly server: SimulatedServer; readonly late: readonly LateRun[] },
  ledger: SimulationLedger,
  differ: Differ,
): Promise<void> {
  const { log, options, joiner, joiner1 } = server;
  const { labels, decidedEarly } = await plainLabels(options.definition, { log, late });
  compareLabels(labels, await sampledLabels(log, differ), differ);
  const roles = [joiner, joiner1].flatMap((share) => share?.roles ?? []);
  const counted = roles.reduce((sum, { core }) => sum + core.counts.decidedEarly, 0);
  if (counted !== decidedEarly) differ(`${counted} were decided early, not ${decidedEarly}`);
  ledger.meet("interactions decided early", decidedEarly);
  for (const [place, loggedMs] of ledger.loggedMs) {
    const [partition = 0, offset = 0] = place.split("/").map(Number);
    const decidedMs = decidedMsOf(late, { partition, offset });
    if (decidedMs > 0) ledger.meet("slates read late");
    if (decidedMs > loggedMs - decidedAfterMs) {
      differ(`slate ${place} was there at ${loggedMs}, taken for late at ${decidedMs}`);
    }
  }
}

function compareLabels(should: Labels, is: Labels, differ: Differ): void {
  for (const [key, labels] of should) {
    const found = is.get(key);
    const same = found?.every((value, head) => value === labels[head]) ?? false;
    if (!same) differ(`${key}: samples say ${found}, the log says ${labels}`);
  }
  for (const key of is.keys()) if (!should.has(key)) differ(`${key} was sampled, never served`);
}

/** Weights after all the crashes, bit for bit those of one run over the samples. */
async function verifyWeights(
  server: SimulatedServer,
  ledger: SimulationLedger,
  differ: Differ,
): Promise<void> {
  const { options, trainer, partitions } = server;
  const log =
    partitions === 1 ? server.log : await InterleavedSamples.open(server.log, { commits: false });
  const { publishEvery, clock, definition } = options;
  const state = smallState(definition, partitions);
  try {
    const plain = await makeTrainerRole({
      ...{ definition, state, log, dataDir: null, publishEvery, seed: 1, clock },
      warn: () => {},
    });
    while ((await plain.step()) > 0);
    const [is, should] = [trainer?.trainer, plain.trainer];
    ledger.meet("samples learned", should.offset);
    if (is?.offset !== should.offset) {
      differ(
        `the trainer stands at sample ${is?.offset}, a run without faults at ${should.offset}`,
      );
      return;
    }
    if (!sameBytes(is.trainer.save(), should.trainer.save())) {
      differ("weights or optimizer differ from a run without faults");
    }
    const [owners, ownersShould] = [is, should].map(({ trainer }) => trainer.saveOwners());
    if (!sameBytes(owners ?? noBytes, ownersShould ?? noBytes)) {
      differ("rows of embeddings have other owners than in a run without faults");
    }
    verifyRows(server.state, state, differ);
  } finally {
    state.release();
  }
}

const noBytes = new Uint8Array(0);

/** Working rows of the embeddings, and of the indexes that find them. */
function verifyRows(is: SharedState, should: SharedState, differ: Differ): void {
  const pairs: [string, EmbeddingTable, EmbeddingTable | undefined][] = [
    ["user embeddings", should.userEmbeddings, is.userEmbeddings],
    ["item embeddings", should.itemEmbeddings, is.itemEmbeddings],
  ];
  for (const name of ["userIndex", "itemIndex"] as const) {
    const index = should.indexes[name];
    if (index !== undefined) pairs.push([name, index, is.indexes[name]]);
  }
  for (const [name, table, other] of pairs) {
    const rows = table.usedRows;
    if (rows !== other?.usedRows) differ(`${name}: other rows were learned`);
    const all = Uint32Array.from({ length: rows }, (_, row) => row);
    const [a, b] = [table, other].map((one) => {
      const out = new Float32Array(rows * table.dim);
      one?.gatherWorking(all, rows, out);
      return new Uint8Array(out.buffer);
    });
    if (!sameBytes(a!, b!)) differ(`${name} differ from a run without faults`);
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

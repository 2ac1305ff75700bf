import { expect, test } from "bun:test";
import { EmbeddingTable } from "./embedding-table.ts";
import { IdTable } from "./id-table.ts";
import { ModelSlots } from "./model-slots.ts";
import { PaneTable } from "./pane-table.ts";
import { SequenceTable } from "./sequence-table.ts";
import type { SharedWorkerStart } from "./test/shared-worker.ts";

const workers = 2;
const steps = 20_000;

function createAll() {
  return {
    ids: IdTable.create({ capacity: steps, bytesMax: 1 << 20 }),
    panes: PaneTable.create({ rows: 1, counters: 1, windows: [{ paneMs: 1_000, panes: 2 }] }),
    sequences: SequenceTable.create({ rows: 1, length: 9, words: 2 }),
    embeddings: EmbeddingTable.create({ path: null, rows: 1, dim: 16 }),
    slots: ModelSlots.create({ slots: 4, floats: 500, readers: workers }),
  };
}

type All = ReturnType<typeof createAll>;

function start(all: All, control: SharedArrayBuffer, reader: number) {
  const worker = new Worker(new URL("./test/shared-worker.ts", import.meta.url).href);
  const message: SharedWorkerStart = {
    ids: all.ids.handle,
    panes: all.panes.handle,
    sequences: all.sequences.handle,
    embeddings: all.embeddings.handle,
    slots: all.slots.handle,
    reader,
    control,
  };
  const faults = new Promise<Record<string, number>>((resolve, reject) => {
    worker.onmessage = (event) => resolve(event.data);
    worker.onerror = (event) => reject(new Error(event.message));
  });
  worker.postMessage(message);
  return { worker, faults };
}

/** Publishes once nobody pins a version older than the previous one; false when it must wait. */
function publishModel(all: All, version: number): boolean {
  const { slots, embeddings } = all;
  const slot = slots.acquire();
  if (slot < 0 || slots.oldestPinnedVersion() < slots.current().version) return false;
  const row = Int32Array.of(0);
  slots.weights(slot).fill(version);
  embeddings.initialise(row, 1, new Float32Array(16).fill(version));
  embeddings.publish(row, 1, version);
  slots.publish(slot, version);
  return true;
}

function writeAll(all: All): number {
  const late = new Uint32Array(1);
  let version = 0;
  for (let n = 0; n < steps; n++) {
    all.ids.intern(`id-${n}`);
    const updates = {
      rows: Uint32Array.of(0),
      counters: Uint8Array.of(0),
      deltas: Uint32Array.of(1),
      times: Float64Array.of(0),
      offsets: Float64Array.of(n),
    };
    all.panes.apply({ ...updates, count: 1, watermarkMs: 0 }, late);
    all.sequences.push(0, Uint32Array.of(n, n), n);
    if (publishModel(all, version + 1)) version++;
  }
  return version;
}

test("threads that attach by handle read whole rows while another writes", async () => {
  const all = createAll();
  const control = new SharedArrayBuffer(8);
  const words = new Int32Array(control);
  const started = Array.from({ length: workers }, (_, reader) => start(all, control, reader));
  while (Atomics.load(words, 0) < workers) {
    await Atomics.waitAsync(words, 0, Atomics.load(words, 0), 1_000).value;
  }
  const version = writeAll(all);
  Atomics.store(words, 1, 1);
  for (const { worker, faults } of started) {
    const { runs, ...found } = await faults;
    expect(found).toEqual({ ids: 0, panes: 0, sequences: 0, model: 0 });
    expect(runs).toBeGreaterThanOrEqual(1_000);
    worker.terminate();
  }
  expect(version).toBeGreaterThan(10);
  expect(all.slots.oldestPinnedVersion()).toBe(version);
  for (const table of Object.values(all)) table.release();
});

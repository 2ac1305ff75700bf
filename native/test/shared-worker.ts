/** A thread that attaches by handle and checks what it reads; answers with the faults it found. */
import { EmbeddingTable } from "../embedding-table.ts";
import { IdTable } from "../id-table.ts";
import { ModelSlots } from "../model-slots.ts";
import { PaneTable } from "../pane-table.ts";
import { SequenceTable } from "../sequence-table.ts";

export interface SharedWorkerStart {
  readonly ids: number;
  readonly panes: number;
  readonly sequences: number;
  readonly embeddings: number;
  readonly slots: number;
  readonly reader: number;
  /** [0] threads that run, [1] set when the writer is done. */
  readonly control: SharedArrayBuffer;
}

declare const self: Worker;

function checkPanes(panes: PaneTable): number {
  const out = new Uint32Array(panes.width);
  const offsets = new Float64Array(1);
  panes.read(Int32Array.of(0), 1, 0, { out, offsets });
  return out[1] === offsets[0] + 1 && out[0] === out[1] ? 0 : 1;
}

function checkSequences(sequences: SequenceTable): number {
  const out = new Uint32Array(sequences.length * 2);
  const count = sequences.read(0, out);
  for (let r = 0; r < count; r++) {
    if (out[2 * r] !== out[2 * r + 1] || out[2 * r] !== out[0] + r) return 1;
  }
  return 0;
}

function checkModel(slots: ModelSlots, embeddings: EmbeddingTable, reader: number): number {
  const slot = slots.pin(reader);
  if (slot < 0) return 0;
  const version = slots.version(slot);
  const same = slots.weights(slot).every((weight) => weight === version);
  const vector = new Float32Array(embeddings.dim);
  embeddings.gather(Int32Array.of(0), 1, version, vector);
  slots.unpin(reader);
  // The publisher waits for pins, so a pinned version is always still there.
  return same && vector.every((value) => value === version) ? 0 : 1;
}

function checkIds(ids: IdTable): number {
  const { size } = ids;
  if (size === 0) return 0;
  return ids.find(`id-${size - 1}`) === size - 1 && ids.id(size - 1) === `id-${size - 1}` ? 0 : 1;
}

self.onmessage = (event: MessageEvent<SharedWorkerStart>) => {
  const { data } = event;
  const ids = IdTable.attach(data.ids);
  const panes = PaneTable.attach(data.panes);
  const sequences = SequenceTable.attach(data.sequences);
  const embeddings = EmbeddingTable.attach(data.embeddings);
  const slots = ModelSlots.attach(data.slots);
  const control = new Int32Array(data.control);
  const faults = { ids: 0, panes: 0, sequences: 0, model: 0, runs: 0 };
  Atomics.add(control, 0, 1);
  Atomics.notify(control, 0);
  while (Atomics.load(control, 1) === 0 || faults.runs < 1_000) {
    faults.ids += checkIds(ids);
    faults.panes += checkPanes(panes);
    faults.sequences += checkSequences(sequences);
    faults.model += checkModel(slots, embeddings, data.reader);
    faults.runs++;
  }
  self.postMessage(faults);
};

import { Random } from "../../models/core/random.ts";
import { auc } from "../../models/evaluation/auc.ts";
import { createRanker } from "../../models/ranking/ranker.ts";
import type { Sample } from "../../models/training/sample.ts";
import { RankTrainer } from "../../models/training/trainer.ts";
import { EmbeddingTable, ModelSlots } from "../../native/index.ts";
import { batchSizeOf, OnlineTrainer } from "../../workers/trainer/trainer.ts";
import { drawStream, samplesOf, streamIds, wideShape } from "../training/stream.ts";
import { Attacker, type AttackName, attackOf } from "./attacks.ts";

export interface ProbeSizes {
  readonly samples: number;
  readonly probes: number;
  readonly seed: number;
}

export interface ProbeResult {
  /** AUC of clicks by the live version, on samples that nobody has learned. */
  readonly auc: number;
  readonly finite: boolean;
  readonly refusals: number;
  readonly published: number;
}

export interface ProbeRun {
  /** Null: nothing bad comes. */
  readonly attack: AttackName | null;
  readonly guarded: boolean;
  /**
   * Of event time, from the first sample to the last. Default: the stream is minutes long, and its
   * first half stands for the hour before labels are judged.
   */
  readonly hours?: number;
}

const publishEvery = 100;
const perSampleMsDefault = 50;
const attackerRow = streamIds.users;

/** A stream with as many clean samples as without the attack, and a clean one to judge by. */
export class Probe {
  readonly #clean: readonly Sample[];
  readonly #probe: readonly Sample[];
  readonly #ranker = createRanker(wideShape);
  readonly #seed: number;

  constructor({ samples, probes, seed }: ProbeSizes) {
    const all = samplesOf(drawStream(samples + probes, seed));
    this.#clean = all.slice(0, samples);
    this.#probe = all.slice(samples);
    this.#seed = seed;
  }

  /**
   * Learns the stream. In its second half bad samples come on top of the clean ones; where labels
   * are turned round, in their place.
   */
  run({ attack, guarded, hours }: ProbeRun): ProbeResult {
    const users = this.#table(streamIds.users + 1, wideShape.userEmbedding);
    const items = this.#table(streamIds.items, wideShape.itemEmbedding);
    const ranker = this.#ranker;
    const slots = ModelSlots.create({ slots: 4, floats: ranker.slotFloats, readers: 2 });
    const initial = new Float32Array(ranker.floats);
    ranker.initialise(new Random(this.#seed), initial);
    const trainer = new RankTrainer(ranker, { users, items }, initial, {
      batchMax: batchSizeOf(publishEvery),
    });
    const options = { publishEvery, guarded, ...(hours === undefined ? { matureMs: 0 } : {}) };
    const online = new OnlineTrainer({ trainer, slots, users, items, ...options });
    online.publishNow();
    const counts = { refusals: 0, published: 0 };
    const perSampleMs =
      hours === undefined ? perSampleMsDefault : (hours * 3_600_000) / this.#clean.length;
    for (const sample of this.#stream(attack, perSampleMs)) {
      const outcome = online.take(sample);
      if (outcome?.published === true) counts.published++;
      else if (outcome?.verdict?.accepted === false) counts.refusals++;
    }
    const result = { ...counts, ...this.#judge(slots, { users, items }) };
    for (const one of [users, items, slots]) one.release();
    return result;
  }

  #table(rows: number, dim: number): EmbeddingTable {
    return EmbeddingTable.create({ path: null, rows, dim });
  }

  *#stream(name: AttackName | null, perSampleMs: number): Generator<Sample> {
    const seconds = wideShape.heads.map(({ kind }) => kind === "seconds");
    const attack = name === null ? null : attackOf(name, { seconds, userRow: attackerRow });
    const attacker = attack === null ? null : new Attacker(attack, this.#seed + 1);
    const { length } = this.#clean;
    for (const [i, clean] of this.#clean.entries()) {
      const time = { servedMs: i * perSampleMs, emittedMs: i * perSampleMs };
      const sample = { ...clean, ...time };
      const changed = attacker?.through(sample, 2 * (i / length) - 1) ?? sample;
      const replaces = name === "inverted" || name === "slow";
      if (!replaces || changed === sample) yield sample;
      if (changed !== sample) yield changed;
    }
  }

  #judge(slots: ModelSlots, tables: { users: EmbeddingTable; items: EmbeddingTable }) {
    const { slot, version } = slots.current();
    const weights = slots.weights(slot).slice(0, this.#ranker.floats);
    const count = this.#probe.length;
    const column = (of: (sample: Sample) => number) => Uint32Array.from(this.#probe, of);
    const userVector = new Float32Array(count * wideShape.userEmbedding);
    const itemVectors = new Float32Array(count * wideShape.itemEmbedding);
    tables.users.gather(
      column(({ userRow }) => userRow),
      count,
      version,
      userVector,
    );
    tables.items.gather(
      column(({ itemRow }) => itemRow),
      count,
      version,
      itemVectors,
    );
    const userDense = joined(this.#probe.map((sample) => sample.userDense));
    const itemDense = joined(this.#probe.map((sample) => sample.itemDense));
    const inputs = { userDense, userVector, userRows: count, itemDense, itemVectors, count };
    const out = new Float32Array(count * wideShape.heads.length);
    this.#ranker.score({ weights, ...inputs }, out);
    const labels = this.#probe.map((sample) => sample.labels[0]!);
    const finite = weights.every(Number.isFinite);
    return { auc: auc({ scores: out.subarray(0, count), labels }), finite };
  }
}

function joined(rows: readonly Float32Array[]): Float32Array {
  const width = rows[0]?.length ?? 0;
  const out = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) out.set(row, i * width);
  return out;
}

import { assert } from "../core/assert.ts";
import type { Random } from "../core/random.ts";
import { type Histories, itemUsers } from "./histories.ts";
import { InBatchSoftmax, type SoftmaxBatch, type SoftmaxGradients } from "./in-batch-softmax.ts";
import { type FactorisationState, TouchedRows } from "./touched-rows.ts";
import { normaliseRow, RowPair } from "./vectors.ts";

export interface FactorisationOptions {
  /** Even. */
  readonly dim: number;
  readonly batch: number;
  readonly temperature: number;
  /** Items of a history that are sampled into one user. */
  readonly historyMax: number;
  readonly learningRate: number;
}

export const factorisationDefaults: FactorisationOptions = {
  dim: 64,
  batch: 512,
  temperature: 0.08,
  historyMax: 20,
  learningRate: 0.05,
};

/**
 * Item vectors from histories alone. A user is the normalised sum of the normalised vectors of
 * some of the history without the target; no user has a vector of his own, so one who came a
 * second ago is served as well as any. Loss: in-batch sampled softmax with full log-Q, all items
 * of the user masked among the negatives (as SimpleX, CIKM 2021, aggregates; loss as in Yi et
 * al., RecSys 2019). Trains in slices, a batch each; the same seed and histories give the same
 * vectors. Continues from a former state.
 */
export class FactorisationTrainer {
  readonly options: FactorisationOptions;
  readonly #random: Random;
  readonly #batch: SoftmaxBatch;
  readonly #gradients: SoftmaxGradients;
  readonly #softmax: InBatchSoftmax;
  readonly #touched: TouchedRows;
  readonly #users: Int32Array;
  readonly #targets: Int32Array;
  readonly #norms: Float32Array;
  readonly #members: Int32Array;
  readonly #memberCounts: Int32Array;
  readonly #pairs: Pairs;
  #own = new Uint32Array(0);
  #ownStamp = 0;
  #state: FactorisationState;
  #histories: Histories | null = null;
  #userAt = new Int32Array(0);
  #logQ = new Float32Array(0);

  constructor(options: FactorisationOptions, random: Random, former?: FactorisationState) {
    assert(options.dim % 2 === 0, "vectors have an even width");
    this.options = options;
    this.#random = random;
    const { batch, dim, historyMax } = options;
    this.#batch = {
      count: batch,
      dim,
      users: new Float32Array(batch * dim),
      targets: new Float32Array(batch * dim),
      logQ: new Float32Array(batch),
      masked: new Uint8Array(batch * batch),
      temperature: options.temperature,
    };
    this.#gradients = {
      users: new Float32Array(batch * dim),
      targets: new Float32Array(batch * dim),
      logits: new Float32Array(batch * batch),
    };
    this.#softmax = new InBatchSoftmax(this.#batch, this.#gradients);
    this.#users = new Int32Array(batch);
    this.#targets = new Int32Array(batch);
    this.#norms = new Float32Array(batch);
    this.#members = new Int32Array(batch * historyMax);
    this.#memberCounts = new Int32Array(batch);
    this.#state = former ?? { rows: 0, vectors: new Float32Array(0), moments: new Float32Array(0) };
    this.#touched = new TouchedRows(batch * (historyMax + 1), dim, this.#state);
    this.#pairs = pairsOf(this.#batch, this.#gradients, this.#touched);
  }

  get state(): FactorisationState {
    return this.#state;
  }

  /** Takes new histories; rows that are new start small and random. */
  begin(histories: Histories): void {
    this.#histories = histories;
    this.#state = grown(this.#state, histories.itemRows, this.options.dim, this.#random);
    this.#touched.use(this.#state);
    this.#own = new Uint32Array(this.#state.rows);
    this.#ownStamp = 0;
    this.#userAt = new Int32Array(histories.items.length);
    for (let user = 0; user < histories.users; user++) {
      this.#userAt.fill(user, histories.offsets[user], histories.offsets[user + 1]);
    }
    const total = Math.max(1, histories.items.length);
    this.#logQ = Float32Array.from(itemUsers(histories), (n) => Math.log(Math.max(n, 1) / total));
  }

  /** Learns from one batch; gives its mean loss, NaN where no user has two items. */
  step(learningRate = this.options.learningRate): number {
    const histories = this.#histories;
    if (histories === null || !this.#draw(histories)) return Number.NaN;
    this.#mask(histories);
    this.#encode();
    const loss = this.#softmax.step();
    this.#backward();
    this.#touched.apply(learningRate);
    return loss;
  }

  /** Examples: random places of the histories, each with some of the same user's other items. */
  #draw({ offsets, items }: Histories): boolean {
    const { batch, historyMax } = this.options;
    let tries = 0;
    for (let b = 0; b < batch; ) {
      if (tries++ > 20 * batch || items.length === 0) return false;
      const at = this.#random.int(items.length);
      const user = this.#userAt[at];
      const from = offsets[user];
      const length = offsets[user + 1] - from;
      if (length < 2) continue;
      this.#users[b] = user;
      this.#targets[b] = items[at];
      const wanted = Math.min(length - 1, historyMax);
      const all = length - 1 <= historyMax;
      for (let i = 0; i < wanted; i++) {
        // Places are counted from the one after the target, so that it is never drawn.
        const step = 1 + (all ? i : this.#random.int(length - 1));
        this.#members[b * historyMax + i] = items[from + ((at - from + step) % length)];
      }
      this.#memberCounts[b++] = wanted;
    }
    return true;
  }

  #mask({ offsets, items }: Histories): void {
    const { batch } = this.options;
    if (this.#ownStamp > 0xffff_0000) {
      this.#own.fill(0);
      this.#ownStamp = 0;
    }
    for (let b = 0; b < batch; b++) {
      const stamp = ++this.#ownStamp;
      const user = this.#users[b];
      for (let at = offsets[user]; at < offsets[user + 1]; at++) this.#own[items[at]] = stamp;
      for (let c = 0; c < batch; c++) {
        this.#batch.masked[b * batch + c] = this.#own[this.#targets[c]] === stamp ? 1 : 0;
      }
    }
  }

  #encode(): void {
    const { batch, dim, historyMax } = this.options;
    const { users, logQ } = this.#batch;
    this.#touched.begin();
    users.fill(0);
    for (let b = 0; b < batch; b++) {
      this.#pairs.unitToTarget.copy(this.#touched.slot(this.#targets[b]), b);
      logQ[b] = this.#logQ[this.#targets[b]];
      for (let i = b * historyMax; i < b * historyMax + this.#memberCounts[b]; i++) {
        this.#pairs.unitToUser.add(this.#touched.slot(this.#members[i]), b, 1);
      }
      this.#norms[b] = normaliseRow(users, b, dim);
    }
  }

  /** Through u = h / |h|: only what is orthogonal to u moves h, and h is a plain sum. */
  #backward(): void {
    const { batch, historyMax } = this.options;
    const { userToGradient, targetToSlot, userToSlot } = this.#pairs;
    for (let b = 0; b < batch; b++) {
      targetToSlot.add(b, this.#touched.slot(this.#targets[b]), 1);
      userToGradient.add(b, b, -userToGradient.dot(b, b));
      const scale = this.#norms[b] > 0 ? 1 / this.#norms[b] : 0;
      for (let i = b * historyMax; i < b * historyMax + this.#memberCounts[b]; i++) {
        userToSlot.add(b, this.#touched.slot(this.#members[i]), scale);
      }
    }
  }
}

interface Pairs {
  readonly unitToTarget: RowPair;
  readonly unitToUser: RowPair;
  readonly userToGradient: RowPair;
  readonly targetToSlot: RowPair;
  readonly userToSlot: RowPair;
}

function pairsOf(batch: SoftmaxBatch, gradients: SoftmaxGradients, touched: TouchedRows): Pairs {
  const { dim } = batch;
  return {
    unitToTarget: new RowPair(touched.units, batch.targets, dim),
    unitToUser: new RowPair(touched.units, batch.users, dim),
    userToGradient: new RowPair(batch.users, gradients.users, dim),
    targetToSlot: new RowPair(gradients.targets, touched.gradients, dim),
    userToSlot: new RowPair(gradients.users, touched.gradients, dim),
  };
}

function grown(
  state: FactorisationState,
  rows: number,
  dim: number,
  random: Random,
): FactorisationState {
  if (rows <= state.rows) return state;
  const vectors = new Float32Array(rows * dim);
  vectors.set(state.vectors);
  for (let i = state.rows * dim; i < vectors.length; i++) vectors[i] = 0.1 * random.normal();
  const moments = new Float32Array(rows);
  moments.set(state.moments);
  return { rows, vectors, moments };
}

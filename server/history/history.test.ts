import { describe, expect, test } from "bun:test";
import { noRow } from "../../models/core/bytes.ts";
import { Random } from "../../models/core/random.ts";
import definition from "../../models/definition/examples/kuairand.ts";
import { featureCatalog } from "../../models/features/catalog.ts";
import { comparedModels } from "../../models/ranking/model-types.ts";
import { epoch, offlineBatchMax } from "../../models/training/offline.ts";
import type { Sample } from "../../models/training/sample.ts";
import { labelRows } from "./label-rows.ts";
import { judgedModel } from "./model-run.ts";
import { evaluateRanking, judgedHeads, rankingData, trainRanking } from "./ranking-run.ts";
import type { HistoryTie, PlacedEvent } from "./read-history.ts";
import { syntheticHistory } from "./synthetic-history.ts";

const startMs = Date.UTC(2026, 0, 5);
const types = definition.interactions.map(({ name }) => name);
const catalog = featureCatalog(definition);

function event(at: number, type: (typeof types)[number], more: Partial<PlacedEvent> = {}) {
  const who = { user: "u", item: "i", value: 0, document: null, held: false };
  return { ...who, type: types.indexOf(type), timeMs: startMs + at, ...more };
}

function dataOf(events: readonly PlacedEvent[], known?: { users: string[]; items: string[] }) {
  const ties = labelRows(definition, events, Number.POSITIVE_INFINITY);
  const rows = ties.reduce((sum, tie) => sum + tie.rows.length, 0);
  const data = rankingData(
    { documents: [], ties, rows },
    {
      ...{ definition, ...(known && { known }) },
    },
  );
  data.replay.close();
  return data.train.flat();
}

function input(sample: Sample | undefined, name: string): number {
  const user = catalog.userNames.indexOf(name);
  const item = catalog.itemNames.indexOf(name);
  const value = user >= 0 ? sample?.userDense[user] : sample?.itemDense[item];
  if (value === undefined) throw new Error(`no input ${name}`);
  return value;
}

describe("rows of a history", () => {
  test("outcomes are the interactions that follow in time", () => {
    const ties = labelRows(
      definition,
      [
        event(5_000, "click"),
        event(0, "impression"),
        event(6_000, "watch", { value: 3 }),
        event(7_000, "watch", { value: 4 }),
        event(10_000, "click", { item: "other" }),
        event(130_000, "finish"),
        event(1e6, "impression", { held: true }),
      ],
      startMs + 2e6,
    );
    const rows = ties.flatMap((tie: HistoryTie) => tie.rows);
    expect(rows.map(({ held, labels }) => [held, ...labels])).toEqual([
      [false, 1, 0, 0, 7],
      [true, 0, 0, 0, 0],
    ]);
  });

  test("features of a millisecond know nothing of it, the next one all of it", () => {
    const samples = dataOf([
      event(0, "impression"),
      event(0, "click"),
      event(0, "impression", { item: "j" }),
      event(0, "impression", { user: "v" }),
      event(1, "impression"),
    ]);
    const counts = samples.map((sample) => [
      input(sample, "user.total.impressionCount"),
      input(sample, "item.total.impressionCount"),
      input(sample, "user.recent10.clickShare"),
    ]);
    const log = (n: number) => Math.fround(Math.log1p(n));
    expect(counts).toEqual([
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
      [log(2), log(2), 1],
    ]);
    expect(samples.map(({ labels }) => labels[0])).toEqual([1, 0, 0, 0]);
  });

  test("what comes later changes no earlier feature", () => {
    const random = new Random(3);
    const events = Array.from({ length: 400 }, () =>
      event(random.int(200) * 500, random.next() < 0.5 ? "impression" : "click", {
        user: `u${random.int(4)}`,
        item: `i${random.int(6)}`,
      }),
    );
    const cut = startMs + 60_000;
    const all = dataOf(events).filter(({ servedMs }) => servedMs <= cut);
    const past = dataOf(
      events.filter(({ timeMs, type }) => timeMs < cut || (timeMs === cut && type === 0)),
    );
    const dense = (list: Sample[]) => list.map((one) => [...one.userDense, ...one.itemDense]);
    expect(dense(past)).toEqual(dense(all));
    expect(past.length).toBeGreaterThan(50);
  });

  test("ids get the rows of a data folder, and none where it does not know them", () => {
    const known = { users: ["a", "u"], items: ["i"] };
    const [one, two] = dataOf(
      [event(0, "impression"), event(1, "impression", { user: "w", item: "j" })],
      known,
    );
    expect([one?.userRow, one?.itemRow, two?.userRow, two?.itemRow]).toEqual([1, 0, noRow, noRow]);
  });

  test("a row's item is as that row says it, whatever others said", () => {
    const said = (durationSeconds: number | undefined, category: string) => ({
      item: "i",
      document: { ...(durationSeconds && { durationSeconds }), categories: [category] },
    });
    const samples = dataOf([
      event(0, "impression", { document: said(undefined, "length") }),
      event(1, "impression", { document: said(9, "length2") }),
      event(2, "impression", { document: said(undefined, "length") }),
    ]);
    expect(samples.map((sample) => input(sample, "item.durationKnown"))).toEqual([0, 1, 0]);
    expect(samples.map(({ categoryRow }) => categoryRow)).toEqual([0, 1, 0]);
  });

  test("seconds are unknown where the length is and the head needs it", () => {
    const document = { item: "i", document: { durationSeconds: 9 } };
    const samples = dataOf([
      event(0, "impression", { document }),
      event(1, "watch", { value: 5 }),
      event(2, "impression", { item: "j" }),
    ]);
    expect(samples.map(({ labels }) => labels[3])).toEqual([5, Number.NaN]);
  });
});

test("batches never split a tie, and hold every tie once", () => {
  const random = new Random(8);
  const none = new Float32Array(0);
  const tieOf = (userRow: number): Sample[] =>
    Array.from({ length: 1 + random.int(7) }, () => ({
      ...{ kind: "primary", position: 0, userRow, itemRow: 0, categoryRow: 0, weight: 1 },
      ...{ servedMs: 0, emittedMs: 0, requestId: [0, 0, 0, 0] },
      ...{ labels: none, userDense: none, itemDense: none },
    }));
  const ties = Array.from({ length: 90 }, (_, i) => tieOf(i));
  for (const stream of [null, new Random(1)]) {
    const lists: number[][] = [];
    const trainer = { learn: (list: readonly Sample[]) => lists.push(list.map((s) => s.userRow)) };
    epoch(trainer, ties, { batch: 20, random: stream });
    const most = Math.max(...lists.map((list) => list.length));
    expect(most).toBeLessThanOrEqual(offlineBatchMax(ties, 20));
    const seen = lists.flatMap((list) => [...new Set(list)]);
    expect(seen.length).toBe(90);
    expect(new Set(seen).size).toBe(90);
    expect(seen.every((row, i) => row === i)).toBe(stream === null);
  }
});

const training = {
  ...{ batch: 128, learningRate: 0.002, onlineRate: 0.1, decay: 0.02, seed: 4 },
  admission: { users: 255, items: 255 },
};

test("training finds what a made-up history holds, the same for a seed", () => {
  const history = syntheticHistory(definition, 2);
  const data = rankingData(history, { definition });
  try {
    const options = { ...training, definition, epochs: 2, average: 2 };
    const judge = () => evaluateRanking(data, trainRanking(data, options), { draws: 0, seed: 1 });
    const [click] = judge();
    expect(click?.count).toBe(1_200);
    expect(click?.figures.auc?.value).toBeGreaterThan(0.7);
    expect(judge()[0]?.figures.auc?.value).toBe(click?.figures.auc?.value ?? 0);
  } finally {
    data.replay.close();
  }
});

test("occurrences of an id are counted within an epoch, and rows do not outlast one", () => {
  const data = rankingData(syntheticHistory(definition, 2, 1_500), { definition });
  try {
    const rows = data.train.flat().map(({ userRow }) => userRow);
    const times = Math.max(...rows.map((row) => rows.filter((one) => one === row).length));
    const vectors = new Float32Array(
      data.replay.state.users.size * definition.ranking.userEmbedding,
    );
    const learned = (users: number, epochs: number) => {
      const admission = { users, items: 255 };
      trainRanking(data, { ...training, definition, admission, epochs, average: 1 });
      const all = Uint32Array.from({ length: data.replay.state.users.size }, (_, row) => row);
      data.replay.state.userEmbeddings.gatherWorking(all, all.length, vectors);
      return vectors.some((value) => value !== 0);
    };
    expect(learned(times - 1, 1)).toBe(true);
    expect(learned(times, 3)).toBe(false);
  } finally {
    data.replay.close();
  }
});

test.each(["hashed", "exact"] as const)("%s ids of few rows are trained and judged", (kind) => {
  const ranking = { ...definition.ranking, userIds: { kind, rows: 64 } };
  const ofFew = { ...definition, ranking };
  const data = rankingData(syntheticHistory(definition, 2, 1_500), { definition: ofFew });
  try {
    const judge = (users: number) => {
      const admission = { users, items: 255 };
      const options = { ...training, definition: ofFew, epochs: 2, average: 1, admission };
      const { predictions } = judgedHeads(data, trainRanking(data, options))[0]!;
      const rows = data.replay.state.userEmbeddings;
      const vectors = new Float32Array(64 * rows.dim);
      rows.gatherWorking(
        Uint32Array.from({ length: 64 }, (_, row) => row),
        64,
        vectors,
      );
      return { predictions, learned: vectors.some((value) => value !== 0) };
    };
    const [learned, none] = [judge(0), judge(255)];
    expect([learned.learned, none.learned]).toEqual([true, false]);
    expect(learned.predictions).not.toEqual(none.predictions);
    expect(judge(0).predictions).toEqual(learned.predictions);
  } finally {
    data.replay.close();
  }
});

test("every model can be judged on the same data; single-task trains each head alone", () => {
  const data = rankingData(syntheticHistory(definition, 2), { definition });
  try {
    const names = definition.heads.map(({ name }) => name);
    const clicks = comparedModels.map((model) => {
      const heads = judgedModel(data, { ...training, definition, epochs: 1, average: 1, model });
      expect(heads.map(({ name }) => name)).toEqual(names);
      return heads[0]?.predictions[0];
    });
    expect(new Set(clicks).size).toBe(comparedModels.length);
  } finally {
    data.replay.close();
  }
});

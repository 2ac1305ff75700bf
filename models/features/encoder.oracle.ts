import type { RecommenderDefinition, ScopeName } from "../definition/define.ts";

/** Counters of one row by window name and interaction name; watch in 1/64 s. */
export type PlainCounts = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** A scope's counters, and the value of each of its features that no counter makes, by name. */
export interface PlainRow {
  readonly counts: PlainCounts;
  readonly aggregates: Readonly<Record<string, number>>;
}

export interface PlainInputs {
  readonly asOfMs: number;
  readonly user: PlainRow;
  readonly global: PlainRow;
  readonly recent: readonly {
    type: string;
    timeMs: number;
    categories: readonly number[];
    author: number;
  }[];
  readonly items: readonly {
    own: PlainRow;
    categories: readonly { row: number; own: PlainRow; pair: PlainRow }[];
    publishedAtMs: number;
    durationSeconds: number;
    author: number;
    itemToItem: number;
    vector: number;
  }[];
}

const mean = (values: readonly number[]) =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

/** The features of one scope by the definition, straight from its words. */
function scope(
  definition: RecommenderDefinition,
  name: ScopeName,
  { counts, aggregates }: PlainRow,
  categories: readonly PlainRow[] = [],
): number[] {
  const rateIn = ({ counts: category }: PlainRow, interaction: string, rate: number) => {
    const hits = category.total?.[interaction] ?? 0;
    const shown = category.total?.impression ?? 0;
    return (hits + 10 * rate) / (Math.max(shown, hits) + 10);
  };
  return definition.features
    .filter((feature) => feature.scope === name)
    .map((feature) => {
      const cell = (interaction: string) => counts[feature.window]?.[interaction] ?? 0;
      const hits = cell(feature.interaction);
      const shown = cell("impression");
      if (feature.kind === "logCount") return Math.log(1 + hits);
      if (feature.kind === "maxValue" || /^log(Distinct|Decayed)$/.test(feature.kind)) {
        return Math.log1p(aggregates[feature.name] ?? 0);
      }
      if (feature.kind === "meanValue") return Math.log1p(hits / 64 / (shown + 2));
      const prior = feature.prior ?? { rate: 0.1, weight: 10 };
      const { weight } = prior;
      const known = prior.towards === undefined ? [] : categories;
      const rates = known.map((one) => rateIn(one, feature.interaction, prior.rate));
      const rate = rates.length === 0 ? prior.rate : mean(rates);
      const misses = Math.max(0, shown - hits);
      // The logit of (hits + rate weight) / (shown + weight), without the loss of 1 - p.
      return Math.log(hits + rate * weight) - Math.log(misses + weight * (1 - rate));
    });
}

const share = <T>(list: readonly T[], test: (value: T) => boolean) =>
  mean(list.map((value) => (test(value) ? 1 : 0)));

/** What the encoder must write, in slow words. */
export function encodePlainly(definition: RecommenderDefinition, inputs: PlainInputs) {
  const { recent, asOfMs } = inputs;
  const last10 = recent.slice(-10);
  const hours = asOfMs / 3_600_000;
  const newest = recent.at(-1);
  const isClick = (one: { type: string }) => one.type === "click";
  const userDense = [
    ...scope(definition, "user", inputs.user),
    ...scope(definition, "global", inputs.global),
    Math.sin((2 * Math.PI * hours) / 24),
    Math.cos((2 * Math.PI * hours) / 24),
    share(last10, isClick),
    share(recent, isClick),
    newest === undefined ? 0 : Math.log1p(Math.max(0, asOfMs - newest.timeMs) / 1_000),
  ];
  const itemDense = inputs.items.flatMap((item) => {
    const empty = { counts: {}, aggregates: {} };
    const none = [{ row: -1, own: empty, pair: empty }];
    const known = item.categories.length === 0 ? none : item.categories;
    const shared = known.map((category) => [
      ...scope(definition, "category", category.own),
      ...scope(definition, "userCategory", category.pair, [category.own]),
    ]);
    // Five interactions of no category draw a short history's shares to 0.
    const kept = (list: PlainInputs["recent"]) => list.length / (list.length + 5);
    const shareIn = (list: PlainInputs["recent"]) =>
      kept(list) *
      mean(item.categories.map(({ row }) => share(list, (one) => one.categories.includes(row))));
    const { publishedAtMs, durationSeconds } = item;
    return [
      ...scope(
        definition,
        "item",
        item.own,
        item.categories.map(({ own }) => own),
      ),
      ...(shared[0] ?? []).map((_, j) => mean(shared.map((values) => values[j] ?? 0))),
      publishedAtMs > 0 ? Math.log1p(Math.max(0, asOfMs - publishedAtMs) / 3_600_000) : 0,
      publishedAtMs > 0 ? 1 : 0,
      durationSeconds > 0 ? Math.log1p(durationSeconds) : 0,
      durationSeconds > 0 ? 1 : 0,
      shareIn(recent),
      shareIn(last10),
      item.author === 0 ? 0 : kept(recent) * share(recent, (one) => one.author === item.author),
      item.itemToItem,
      item.vector,
    ];
  });
  return { userDense, itemDense };
}

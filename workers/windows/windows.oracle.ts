import type { EventRecord } from "../../models/core/event.ts";
import type {
  RecommenderDefinition,
  ScopeName,
  WindowFeature,
} from "../../models/definition/define.ts";
import type { ServedRecord } from "../../models/training/served.ts";
import { countDistinct } from "../../native/index.ts";
import { fakeCategories } from "./stream.fake.ts";

/** One counted fact: which rows it touches is worked out when read. */
interface Fact {
  readonly userRow: number;
  readonly itemRow: number;
  readonly type: number;
  readonly amount: number;
  readonly timeMs: number;
  /** Watermark of its partition when it came. */
  readonly watermarkMs: number;
}

export interface OracleOptions {
  readonly definition: RecommenderDefinition;
  readonly maxDisorderMs: number;
  readonly futureLeadMs: number;
}

/** The windows by their words: every fact is kept and every sum is taken over all of them. */
export class WindowsOracle {
  readonly facts: Fact[] = [];
  /** By scope and row: a number, `user/category` for a pair, 0 for all. */
  readonly #rows = new Map<string, Fact[]>();
  duplicates = 0;
  late = 0;
  readonly #options: OracleOptions;
  readonly #seen = new Set<string>();
  readonly #largest = new Map<string, number>();

  constructor(options: OracleOptions) {
    this.#options = options;
  }

  watermarkMs(source: string): number {
    return Math.max(0, (this.#largest.get(source) ?? 0) - this.#options.maxDisorderMs);
  }

  #observe(source: string, timeMs: number): void {
    this.#largest.set(source, Math.max(this.#largest.get(source) ?? 0, timeMs));
  }

  event(source: string, event: EventRecord): void {
    const id = event.id.join();
    if (this.#seen.has(id)) {
      this.duplicates++;
      return;
    }
    this.#seen.add(id);
    const fromFuture = event.timeMs > event.receivedMs + this.#options.futureLeadMs;
    const timeMs = fromFuture ? event.receivedMs : event.timeMs;
    this.#observe(source, timeMs);
    if (this.#isLateSomewhere(timeMs, this.watermarkMs(source))) this.late++;
    const interaction = this.#options.definition.interactions[event.type];
    const imported = event.timeMs === event.receivedMs && event.requestId.join() === "0,0,0,0";
    const fromSlates = this.#options.definition.negatives === "served";
    if (interaction?.name === "impression" && fromSlates && !imported) return;
    const seconds = interaction?.value === "seconds";
    this.#add({
      userRow: event.userRow,
      itemRow: event.itemRow,
      type: event.type,
      amount: seconds ? Math.round(Math.max(0, event.value) * 64) : 1,
      timeMs,
      watermarkMs: this.watermarkMs(source),
    });
  }

  served(source: string, record: ServedRecord): void {
    this.#observe(source, record.timeMs);
    for (const itemRow of record.items) {
      const type = this.#options.definition.interactions.findIndex(
        ({ name }) => name === "impression",
      );
      const { userRow, timeMs } = record;
      const watermarkMs = this.watermarkMs(source);
      this.#add({ userRow, itemRow, type, amount: 1, timeMs, watermarkMs });
    }
  }

  #isLateSomewhere(timeMs: number, watermarkMs: number): boolean {
    return this.#options.definition.windows.some(
      ({ paneMs }) => Math.ceil((timeMs + 1e-6) / paneMs) * paneMs <= watermarkMs,
    );
  }

  #add(fact: Fact): void {
    this.facts.push(fact);
    if (fact.amount === 0) return;
    const categories = fakeCategories(fact.itemRow);
    const keys = [
      `user ${fact.userRow}`,
      `item ${fact.itemRow}`,
      "global 0",
      ...categories.map((category) => `category ${category}`),
      ...categories.map((category) => `userCategory ${fact.userRow}/${category}`),
    ];
    for (const key of keys) {
      const facts = this.#rows.get(key) ?? [];
      facts.push(fact);
      this.#rows.set(key, facts);
    }
  }

  /** Those that a window holds as of a time, none that came when their pane was closed. */
  #within(facts: readonly Fact[], name: string, asOfMs: number): Fact[] {
    const window = this.#options.definition.windows.find((one) => one.name === name);
    if (window === undefined) return [...facts];
    const { paneMs, panes } = window;
    const last = Math.floor(asOfMs / paneMs);
    return facts.filter((fact) => {
      const pane = Math.floor(fact.timeMs / paneMs);
      const closed = (pane + 1) * paneMs <= fact.watermarkMs;
      return !closed && pane > last - panes && pane <= last;
    });
  }

  /** [window][counter] as of a time; the last window is the total. */
  read(scope: ScopeName, row: string, asOfMs: number): number[] {
    const { definition } = this.#options;
    const facts = this.#rows.get(`${scope} ${row}`) ?? [];
    const names = [...definition.windows.map(({ name }) => name), "total"];
    return names.flatMap((name) => {
      const held = this.#within(facts, name, asOfMs);
      return definition.interactions.map((_, type) =>
        held.reduce((total, fact) => total + (fact.type === type ? fact.amount : 0), 0),
      );
    });
  }

  /** What a feature that no counters make is made from, as of a time; seconds in 1/64 s. */
  aggregate(feature: WindowFeature, row: string, asOfMs: number): number {
    const { interactions, windows } = this.#options.definition;
    const { scope, window, kind, of, halfLifeMs = 0 } = feature;
    const facts = (this.#rows.get(`${scope} ${row}`) ?? []).filter(
      ({ type }) => interactions[type]?.name === feature.interaction,
    );
    if (kind === "logDecayed") {
      // As of its newest fact, where that is later; in whole milliseconds.
      const atMs = Math.max(asOfMs, ...facts.map(({ timeMs }) => Math.floor(timeMs)));
      const ageMs = (fact: Fact) => atMs - Math.floor(fact.timeMs);
      const left = (fact: Fact) => fact.amount * 0.5 ** (ageMs(fact) / halfLifeMs);
      return facts.reduce((sum, fact) => sum + left(fact), 0);
    }
    const held = this.#within(facts, window, asOfMs);
    if (kind === "maxValue") return Math.max(0, ...held.map(({ amount }) => amount));
    const paneMs = windows.find(({ name }) => name === window)?.paneMs ?? Number.POSITIVE_INFINITY;
    const panes = Map.groupBy(held, ({ timeMs }) => Math.floor(timeMs / paneMs));
    const met = (fact: Fact) => {
      if (of === "category") return fakeCategories(fact.itemRow);
      return [of === "user" ? fact.userRow : fact.itemRow];
    };
    return countDistinct([...panes.values()].map((list) => new Set(list.flatMap(met))));
  }

  /** The last `length` positive interactions of a user in order of event time, oldest first. */
  recent(userRow: number, length: number): { itemRow: number; type: number; timeMs: number }[] {
    return this.facts
      .filter((fact) => fact.userRow === userRow && fact.amount > 0)
      .filter((fact) => this.#options.definition.interactions[fact.type]?.name !== "impression")
      .map(({ itemRow, type, timeMs }) => ({ itemRow, type, timeMs }))
      .sort((a, b) => a.timeMs - b.timeMs)
      .slice(-length);
  }
}

import type { EventRecord } from "../../models/core/event.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import type { ServedRecord } from "../../models/training/served.ts";
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

type Scope = "user" | "item" | "category" | "userCategory";

/** The windows by their words: every fact is kept and every sum is taken over all of them. */
export class WindowsOracle {
  readonly facts: Fact[] = [];
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
    this.facts.push({
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
      this.facts.push({ userRow, itemRow, type, amount: 1, timeMs, watermarkMs });
    }
  }

  #isLateSomewhere(timeMs: number, watermarkMs: number): boolean {
    return this.#options.definition.windows.some(
      ({ paneMs }) => Math.ceil((timeMs + 1e-6) / paneMs) * paneMs <= watermarkMs,
    );
  }

  /** Facts of a row: `row` is a number, or `user/category` for a pair. */
  #of(scope: Scope, row: string): Fact[] {
    return this.facts.filter((fact) => {
      if (scope === "user") return String(fact.userRow) === row;
      if (scope === "item") return String(fact.itemRow) === row;
      const categories = fakeCategories(fact.itemRow);
      if (scope === "category") return categories.includes(Number(row));
      return categories.some((category) => `${fact.userRow}/${category}` === row);
    });
  }

  /** [window][counter] as of a time; the last window is the total. */
  read(scope: Scope, row: string, asOfMs: number): number[] {
    const { definition } = this.#options;
    const facts = this.#of(scope, row).filter((fact) => fact.amount > 0);
    const sum = (list: Fact[]) =>
      definition.interactions.map((_, type) =>
        list.filter((fact) => fact.type === type).reduce((total, fact) => total + fact.amount, 0),
      );
    const windows = definition.windows.flatMap(({ paneMs, panes }) => {
      const last = Math.floor(asOfMs / paneMs);
      return sum(
        facts.filter((fact) => {
          const pane = Math.floor(fact.timeMs / paneMs);
          const closed = (pane + 1) * paneMs <= fact.watermarkMs;
          return !closed && pane > last - panes && pane <= last;
        }),
      );
    });
    return [...windows, ...sum(facts)];
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

import { noRow } from "../../models/core/bytes.ts";
import type { RecommenderDefinition, ScopeName } from "../../models/definition/define.ts";
import { aggregateSource, wantedSources } from "../../models/features/aggregates.ts";
import { byScope } from "../by-scope.ts";
import type { AggregateTable, AggregateTables, PairRows } from "./tables.ts";
import { type Addition, PairUpdateBuffer, UpdateBuffer } from "./update-buffer.ts";

/** Where a fact happened; `noRow` for an anonymous user. */
export interface FactRows {
  readonly userRow: number;
  readonly itemRow: number;
  /** Rows of the item's categories, `categoryCount` of them. */
  readonly categories: Int32Array;
  readonly categoryCount: number;
}

export interface AggregatesOptions {
  readonly definition: RecommenderDefinition;
  readonly tables: AggregateTables<AggregateTable>;
  readonly pairs: PairRows;
  readonly capacity: number;
}

/**
 * The facts as updates of aggregates: one for each source of values (models/features/aggregates.ts)
 * that a feature of the scope asks for, so what nothing asks for costs nothing.
 */
export class Aggregates {
  readonly buffers: AggregateTables<UpdateBuffer<AggregateTable>>;
  readonly #pairs: PairUpdateBuffer<AggregateTable> | null;
  /** By scope, and by counter: a bit for each source. */
  readonly #wanted: Readonly<Record<ScopeName, Uint8Array>>;
  #watermarkMs = 0;

  constructor({ definition, tables, pairs, capacity }: AggregatesOptions) {
    const sized = (table: AggregateTable) => ({ capacity, late: table.width });
    const pairTable = tables.userCategory;
    this.#pairs =
      pairTable === null ? null : new PairUpdateBuffer(pairTable, pairs, sized(pairTable));
    this.buffers = byScope((scope) => {
      const table = tables[scope];
      if (scope === "userCategory") return this.#pairs;
      return table === null ? null : new UpdateBuffer(table, sized(table));
    });
    this.#wanted = byScope((scope) =>
      tables[scope] === null
        ? new Uint8Array(definition.interactions.length)
        : wantedSources(definition, scope),
    );
  }

  /** What was gathered under other closed panes must be flushed before. */
  set watermarkMs(watermarkMs: number) {
    this.#watermarkMs = watermarkMs;
  }

  /** The fact itself, for its user and for all. */
  addOwners(userRow: number, what: Addition): void {
    const { amount, user } = aggregateSource;
    if (userRow !== noRow) this.#add("user", userRow, { source: amount, value: what.delta }, what);
    this.#add("global", 0, { source: amount, value: what.delta }, what);
    if (userRow !== noRow) this.#add("global", 0, { source: user, value: userRow }, what);
  }

  /** An item of the fact: what its user and all met, and its own. */
  addItem({ userRow, itemRow, categories, categoryCount }: FactRows, what: Addition): void {
    const { amount, user, item, category } = aggregateSource;
    for (const scope of ["user", "global"] as const) {
      const row = scope === "global" ? 0 : userRow;
      if (row === noRow) continue;
      this.#add(scope, row, { source: item, value: itemRow }, what);
      for (let i = 0; i < categoryCount; i++) {
        this.#add(scope, row, { source: category, value: categories[i] }, what);
      }
    }
    this.#add("item", itemRow, { source: amount, value: what.delta }, what);
    if (userRow !== noRow) this.#add("item", itemRow, { source: user, value: userRow }, what);
  }

  /** A category of the item, alone and with the user. */
  addCategory({ userRow, itemRow }: FactRows, category: number, what: Addition): void {
    const { amount, user, item } = aggregateSource;
    const own = { source: amount, value: what.delta };
    const met = { source: item, value: itemRow };
    this.#add("category", category, own, what);
    if (userRow !== noRow) this.#add("category", category, { source: user, value: userRow }, what);
    this.#add("category", category, met, what);
    if (userRow === noRow) return;
    this.#addPair(userRow, category, own, what);
    this.#addPair(userRow, category, met, what);
  }

  flush(watermarkMs: number): void {
    for (const buffer of Object.values(this.buffers)) buffer?.flush(watermarkMs);
  }

  #wants(scope: ScopeName, counter: number, source: number): boolean {
    return ((this.#wanted[scope][counter]! >> source) & 1) === 1;
  }

  #add(scope: ScopeName, row: number, of: { source: number; value: number }, what: Addition): void {
    const buffer = this.buffers[scope];
    if (buffer === null || !this.#wants(scope, what.counter, of.source)) return;
    if (buffer.isFull) buffer.flush(this.#watermarkMs);
    buffer.add(row, what);
    buffer.tag(of.source, of.value);
  }

  #addPair(user: number, category: number, of: { source: number; value: number }, what: Addition) {
    const buffer = this.#pairs;
    if (buffer === null || !this.#wants("userCategory", what.counter, of.source)) return;
    if (buffer.isFull) buffer.flush(this.#watermarkMs);
    buffer.addPair(user, category, what);
    buffer.tag(of.source, of.value);
  }
}

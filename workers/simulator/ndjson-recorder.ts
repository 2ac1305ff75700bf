import { closeSync, openSync, writeSync } from "node:fs";
import type {
  ClientEvent,
  ItemDocument,
  RecommendAnswer,
  RecommenderUnderTest,
  RecommendRequest,
} from "./port.ts";

/**
 * The open loop: another recommender answers (a policy, say), and what users do goes to a file, one
 * v1 event a line; item documents go to a second file.
 */
export class NdjsonRecorder implements RecommenderUnderTest {
  readonly #inner: RecommenderUnderTest;
  readonly #eventFile: number;
  readonly #itemFile: number;
  written = 0;

  constructor(inner: RecommenderUnderTest, paths: { events: string; items: string }) {
    this.#inner = inner;
    this.#eventFile = openSync(paths.events, "w");
    this.#itemFile = openSync(paths.items, "w");
  }

  recommend(request: RecommendRequest): RecommendAnswer | Promise<RecommendAnswer> {
    return this.#inner.recommend(request);
  }

  events(batch: readonly ClientEvent[]): void | Promise<void> {
    this.#write(this.#eventFile, batch);
    this.written += batch.length;
    return this.#inner.events(batch);
  }

  /** An importer reads documents once, so those that only hide an old item are left out. */
  items(batch: readonly ItemDocument[]): void | Promise<void> {
    const documents = batch.filter((document) => document.hidden !== true);
    this.#write(this.#itemFile, documents);
    return this.#inner.items(batch);
  }

  close(): void {
    closeSync(this.#eventFile);
    closeSync(this.#itemFile);
  }

  #write(file: number, batch: readonly unknown[]): void {
    if (batch.length === 0) return;
    writeSync(file, `${batch.map((element) => JSON.stringify(element)).join("\n")}\n`);
  }
}

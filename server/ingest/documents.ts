import type { Clock } from "../../models/core/clock.ts";
import { RecError } from "../../models/core/errors.ts";
import { encodeDocument } from "../../models/core/event.ts";
import { Fault } from "../../models/core/schema.ts";
import type { DocumentStore } from "../../workers/stores/document-store.ts";
import type { DocumentKindName, DocumentPut, Documents, MetricSink } from "../http/ports.ts";
import type { AppendLog } from "./append.ts";
import { documentJson, itemDocument } from "./document-schemas.ts";
import type { ItemMemory } from "./item-attributes.ts";
import type { AppliedSink, RowIds } from "./state.ts";

export interface DocumentServiceOptions {
  readonly users: RowIds;
  readonly items: RowIds;
  readonly log: AppendLog;
  readonly store: DocumentStore;
  readonly memory: ItemMemory;
  readonly applied: AppliedSink;
  readonly clock: Clock;
  readonly metrics: MetricSink;
}

/** All documents go through one partition: the order of categories' rows hangs on it. */
export const documentPartition = 0;

/** A change as it goes to the topic and to the store; null JSON deletes. */
interface Change {
  readonly kind: DocumentKindName;
  readonly row: number;
  readonly id: string;
  readonly json: string | null;
  /** The checked document of an item; null for users and deletes. */
  readonly apply: () => void;
}

/** The native table throws a plain error when it is full: that is a refusal, not a fault. */
function internRow(ids: RowIds, id: string): number {
  try {
    return ids.intern(id);
  } catch (cause) {
    throw new RecError("REC_IDS_FULL", "no row is left for a new id", { cause });
  }
}

/**
 * Documents: appended to topic `items`, and once that is durable applied to shared memory and
 * to the store, strictly in the order of the topic.
 */
export class DocumentService implements Documents {
  readonly #options: DocumentServiceOptions;
  /** Settles when every change appended so far has been applied. */
  #applied: Promise<unknown> = Promise.resolve();

  constructor(options: DocumentServiceOptions) {
    this.#options = options;
  }

  async put(kind: DocumentKindName, puts: readonly DocumentPut[]): Promise<void> {
    const changes = puts.map(({ id, document }) => {
      const row = internRow(this.#idsOf(kind), id);
      return {
        kind,
        row,
        id,
        json: documentJson(document),
        apply: this.#putOf(kind, row, document),
      };
    });
    if (changes.length > 0) await this.#commit(changes);
  }

  async get(kind: DocumentKindName, id: string): Promise<string | null> {
    const row = this.#idsOf(kind).find(id);
    if (row < 0) return null;
    const [found] = await this.#options.store.getMany(kind, [row]);
    return found?.json ?? null;
  }

  async remove(kind: DocumentKindName, id: string): Promise<boolean> {
    if ((await this.get(kind, id)) === null) return false;
    const row = this.#idsOf(kind).find(id);
    const apply = () => (kind === "item" ? this.#options.memory.remove(row) : undefined);
    await this.#commit([{ kind, row, id, json: null, apply }]);
    return true;
  }

  #idsOf(kind: DocumentKindName): RowIds {
    return kind === "item" ? this.#options.items : this.#options.users;
  }

  #putOf(kind: DocumentKindName, row: number, document: DocumentPut["document"]): () => void {
    if (kind === "user") return () => undefined;
    // Read again although the door has: the type says only that it is some document.
    const read = itemDocument.read(document);
    if (read instanceof Fault) throw new Error(`unchecked document: ${read.message} ${read.path}`);
    return () => this.#options.memory.put(row, read);
  }

  async #commit(changes: readonly Change[]): Promise<void> {
    const timeMs = this.#options.clock.nowMs();
    const records = changes.map(({ kind, row, id, json }) =>
      encodeDocument({
        ...{ kind, row, id, timeMs, json: json ?? "" },
        operation: json === null ? "delete" : "put",
      }),
    );
    const appended = this.#options.log.append("items", documentPartition, records);
    // Applies in the order of the calls, which is the order of the topic.
    const turn = Promise.allSettled([this.#applied, appended]).then(async () => {
      this.#apply(changes, (await appended) + changes.length);
    });
    this.#applied = turn.catch(() => undefined);
    await turn;
    this.#options.metrics.add("rec_items_changed_total", changes.length);
  }

  #apply(changes: readonly Change[], offsetAfter: number): void {
    this.#options.applied.begin(offsetAfter);
    for (const change of changes) change.apply();
    this.#options.applied.end(offsetAfter);
    this.#options.store.apply(changes, offsetAfter);
  }

  /** Resolves once nothing is under way. */
  async settle(): Promise<void> {
    await this.#applied;
  }
}

import { RecError } from "../../models/core/errors.ts";
import { Fault } from "../../models/core/schema.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { impressionIndex } from "../../models/features/catalog.ts";
import { createEntityCheck } from "../import/check.ts";
import {
  type Entity,
  Faults,
  type ImportDocument,
  type ImportEvent,
  type ImportSource,
} from "../import/types.ts";
import { type ItemDocument, itemBatch } from "../ingest/document-schemas.ts";
import { labelRows } from "./label-rows.ts";

/** An item's document as it was known, with its id. */
export interface HistoryDocument {
  readonly item: string;
  readonly document: ItemDocument;
}

export interface HistoryEvent {
  /** Index into the definition's interactions. */
  readonly type: number;
  readonly user: string;
  readonly item: string;
  /** Epoch milliseconds. */
  readonly timeMs: number;
  readonly value: number;
}

/** One impression and what came of it. */
export interface HistoryRow {
  readonly user: string;
  readonly item: string;
  readonly timeMs: number;
  /** What the same line of the file says of the item. */
  readonly document: HistoryDocument | null;
  /** For testing, not for training. */
  readonly held: boolean;
  /** One a head: 0 or 1, or seconds. */
  readonly labels: Float32Array;
}

/** All that happened in one millisecond: none of it may be known to any row of it. */
export interface HistoryTie {
  readonly timeMs: number;
  readonly rows: readonly HistoryRow[];
  readonly events: readonly HistoryEvent[];
}

export interface History {
  /** Documents that stand on lines without events, in their order. */
  readonly documents: readonly HistoryDocument[];
  /** In the order of time. */
  readonly ties: readonly HistoryTie[];
  readonly rows: number;
}

export interface HistoryPart {
  readonly source: ImportSource;
  /** Rows of this part are for testing. */
  readonly held: boolean;
}

export interface HistoryOptions {
  readonly definition: RecommenderDefinition;
  readonly parts: readonly HistoryPart[];
  /** Rows from then on are for testing; default: only those of a part that is held. */
  readonly heldFromMs?: number;
  readonly nowMs: number;
}

/** Rows that are held in memory; a sample is about a kilobyte. */
const rowsMax = 4_000_000;

/** An event with where it stood. */
export interface PlacedEvent extends HistoryEvent {
  readonly document: HistoryDocument | null;
  readonly held: boolean;
}

/**
 * Reads history and puts it into the order of its own time. A row is an impression; an interaction
 * of the same user and item within its attribution time is that row's outcome. Throws
 * REC_IMPORT_INVALID with the faults, REC_HISTORY_EMPTY without an impression.
 */
export async function readHistory(options: HistoryOptions): Promise<History> {
  const { definition, parts, nowMs } = options;
  if (impressionIndex(definition) < 0) {
    const fix = "name one of the definition's interactions `impression`";
    throw new RecError("REC_HISTORY_EMPTY", "the definition has no impressions", { fix });
  }
  const faults = new Faults();
  const check = createEntityCheck(definition, nowMs);
  const reader = new Reader(definition);
  for (const { source, held } of parts) {
    for await (const batch of source.read(faults, () => {})) {
      for (const entity of batch) {
        check(entity, faults);
        if (faults.total === 0) reader.take(entity, held);
      }
    }
    reader.endPart();
  }
  if (faults.total > 0) {
    throw new RecError("REC_IMPORT_INVALID", `${faults.total} faults:\n${faults.text()}`);
  }
  return reader.finish(options.heldFromMs ?? Number.POSITIVE_INFINITY);
}

class Reader {
  readonly #definition: RecommenderDefinition;
  readonly #types: ReadonlyMap<string, number>;
  readonly #documents: HistoryDocument[] = [];
  readonly #events: PlacedEvent[] = [];
  /** The document of the line that is being read, until an event takes it. */
  #waiting: HistoryDocument | null = null;
  #taken = false;
  #place = "";

  constructor(definition: RecommenderDefinition) {
    this.#definition = definition;
    this.#types = new Map(definition.interactions.map(({ name }, type) => [name, type]));
  }

  take(entity: Entity, held: boolean): void {
    const place = `${entity.place.file}:${entity.place.line}`;
    if (place !== this.#place) this.#nextPlace(place);
    if (entity.kind === "item") {
      this.#settle();
      this.#waiting = documentOf(entity.value);
      this.#taken = false;
    } else if (entity.kind === "event") this.#event(entity.value, held);
  }

  #event(event: ImportEvent, held: boolean): void {
    const { user, item, time: timeMs, value = 0 } = event;
    const type = this.#types.get(event.type);
    if (type === undefined) return;
    const document = this.#waiting?.item === item ? this.#waiting : null;
    if (document !== null) this.#taken = true;
    this.#events.push({ type, user, item, timeMs, value, document, held });
  }

  #nextPlace(place: string): void {
    this.#settle();
    this.#place = place;
  }

  /** A document that no event of its line has taken is there from the start. */
  #settle(): void {
    if (this.#waiting !== null && !this.#taken) this.#documents.push(this.#waiting);
    this.#waiting = null;
    this.#taken = false;
  }

  endPart(): void {
    this.#nextPlace("");
  }

  finish(heldFromMs: number): History {
    const ties = labelRows(this.#definition, this.#events, heldFromMs);
    const rows = ties.reduce((sum, tie) => sum + tie.rows.length, 0);
    if (rows === 0) throw new RecError("REC_HISTORY_EMPTY", "the history holds no impression");
    if (rows > rowsMax) {
      const message = `${rows} rows are more than ${rowsMax}`;
      throw new RecError("REC_HISTORY_SIZE", message, { fix: "train on the latest part" });
    }
    return { documents: this.#documents, ties, rows };
  }
}

function documentOf(value: ImportDocument): HistoryDocument | null {
  const read = itemBatch.read([value]);
  const [first] = read instanceof Fault ? [] : read;
  if (first === undefined) return null;
  const { id, ...document } = first;
  return { item: id, document };
}

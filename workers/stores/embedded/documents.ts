import { Database, type Statement } from "bun:sqlite";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf, RecError } from "../../../models/core/errors.ts";
import type { DocumentKind, DocumentStore, StoredDocument } from "../document-store.ts";

export interface DocumentsOptions {
  /** Null: in memory, of this object alone. */
  readonly path: string | null;
  /** For threads that only look up; the file must be there. */
  readonly readOnly?: boolean;
  /**
   * Given by the process's owner of the file: a damaged one is set aside, which is told, and an
   * empty one takes its place, to be filled again from topic `items`. Else opening it throws.
   */
  readonly report?: (message: string) => void;
}

/** One table a kind, keyed by row: neighbours in row order are neighbours on disk. */
const schema = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE IF NOT EXISTS item (row INTEGER PRIMARY KEY, id TEXT NOT NULL, json TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS user (row INTEGER PRIMARY KEY, id TEXT NOT NULL, json TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS applied (one INTEGER PRIMARY KEY CHECK (one = 1), offset INTEGER);
`;

const kinds = ["item", "user"] as const;
/** `all` reads this many at a time: a writer may go on between. */
const pageRows = 1_000;

type Changes = Parameters<DocumentStore["apply"]>[0];

interface KindStatements {
  readonly get: Statement<StoredDocument, [number]>;
  readonly page: Statement<StoredDocument, [number]>;
  readonly put: Statement<unknown, [number, string, string]> | null;
  readonly remove: Statement<unknown, [number]> | null;
}

/**
 * Documents in SQLite (WAL: readers in other threads never wait for the writer). Synced at
 * checkpoints only: what a power loss takes is in the `items` topic beyond `appliedOffset`, and is
 * applied again from there.
 */
class Documents implements DocumentStore {
  readonly #database: Database;
  readonly #statements: Record<DocumentKind, KindStatements>;
  readonly #readOnly: boolean;
  #syncedOffset = 0;

  constructor(database: Database, readOnly: boolean) {
    this.#database = database;
    this.#readOnly = readOnly;
    const [item, user] = kinds.map((kind) => this.#prepare(kind));
    this.#statements = { item, user };
  }

  apply(changes: Changes, appliedOffset: number): void {
    if (this.#readOnly) throw new RecError("REC_STORE_READ_ONLY", "this thread only reads");
    const transaction = this.#database.transaction(() => {
      for (const { kind, row, id, json } of changes) {
        const { put, remove } = this.#statements[kind];
        if (json === null) remove?.run(row);
        else put?.run(row, id, json);
      }
      this.#database
        .query("INSERT OR REPLACE INTO applied (one, offset) VALUES (1, ?)")
        .run(appliedOffset);
    });
    this.#guarded(() => transaction.immediate());
  }

  async getMany(kind: DocumentKind, rows: readonly number[]): Promise<(StoredDocument | null)[]> {
    const { get } = this.#statements[kind];
    return this.#guarded(() => rows.map((row) => get.get(row)));
  }

  appliedOffset(): number {
    return this.#guarded(() => {
      const found = this.#database
        .query<{ offset: number }, []>("SELECT offset FROM applied")
        .get();
      return found?.offset ?? 0;
    });
  }

  /** A passive checkpoint of the write-ahead log: it waits for no reader. */
  sync(): number {
    const applied = this.appliedOffset();
    const result = this.#guarded(() =>
      this.#database
        .query<{ log: number; checkpointed: number }, []>("PRAGMA wal_checkpoint(PASSIVE)")
        .get(),
    );
    // Both are -1 where there is no write-ahead log: in memory.
    if (result !== null && result.log === result.checkpointed) this.#syncedOffset = applied;
    return this.#syncedOffset;
  }

  *all(kind: DocumentKind): Iterable<StoredDocument> {
    const { page } = this.#statements[kind];
    for (let after = -1; ; ) {
      const documents = this.#guarded(() => page.all(after));
      yield* documents;
      const last = documents.at(-1);
      if (last === undefined) return;
      after = last.row;
    }
  }

  close(): void {
    this.#database.close();
  }

  #prepare(kind: DocumentKind): KindStatements {
    const db = this.#database;
    const columns = `row, id, json FROM ${kind}`;
    const writing = !this.#readOnly;
    return {
      get: db.query(`SELECT ${columns} WHERE row = ?`),
      page: db.query(`SELECT ${columns} WHERE row > ? ORDER BY row LIMIT ${pageRows}`),
      put: writing ? db.query(`INSERT OR REPLACE INTO ${kind} VALUES (?, ?, ?)`) : null,
      remove: writing ? db.query(`DELETE FROM ${kind} WHERE row = ?`) : null,
    };
  }

  #guarded<T>(operation: () => T): T {
    try {
      return operation();
    } catch (cause) {
      const message = `the document store failed: ${messageOf(cause)}`;
      throw new RecError("REC_STORE_IO", message, { path: this.#database.filename, cause });
    }
  }
}

/** Throws REC_STORE_OPEN where the file cannot be opened, is no database, or is missing to read. */
export function openDocuments(options: DocumentsOptions): DocumentStore {
  const { path, readOnly = false, report } = options;
  try {
    if (path === null) return new Documents(prepared(new Database(":memory:")), false);
    if (readOnly) return new Documents(waiting(new Database(path, { readonly: true })), true);
    mkdirSync(dirname(path), { recursive: true });
    const damage = report === undefined || !existsSync(path) ? null : damageOf(path);
    if (damage !== null) {
      const aside = setAside(path);
      report?.(`${path} is damaged (${damage}): kept as ${aside}, filled again from topic items`);
    }
    return new Documents(prepared(waiting(new Database(path, { create: true }))), false);
  } catch (cause) {
    const message = `cannot open the documents in ${path}: ${messageOf(cause)}`;
    throw new RecError("REC_STORE_OPEN", message, { path: path ?? ":memory:", cause });
  }
}

function waiting(database: Database): Database {
  database.run("PRAGMA busy_timeout = 2000");
  return database;
}

/** What is wrong with a file's structure; null where it is whole. */
function damageOf(path: string): string | null {
  let database: Database | null = null;
  try {
    database = waiting(new Database(path));
    const found = database.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get();
    return found === null || found.quick_check === "ok" ? null : found.quick_check;
  } catch (error) {
    return messageOf(error);
  } finally {
    database?.close();
  }
}

/** Moves a database out of the way, with what it had not taken in yet; returns its new name. */
function setAside(path: string): string {
  let number = 1;
  while (existsSync(`${path}.damaged-${number}`)) number++;
  const aside = `${path}.damaged-${number}`;
  for (const suffix of ["", "-wal", "-shm"]) {
    if (existsSync(`${path}${suffix}`)) renameSync(`${path}${suffix}`, `${aside}${suffix}`);
  }
  return aside;
}

function prepared(database: Database): Database {
  database.run(schema);
  database.run("PRAGMA synchronous = NORMAL");
  return database;
}

/** Item and user documents: what `PUT` stored, as JSON text. Key-value, read through caches. */

export type DocumentKind = "item" | "user";

export interface StoredDocument {
  readonly row: number;
  readonly id: string;
  readonly json: string;
}

export interface DocumentStore {
  /** Applies changes and the offset of the `items` topic that they reach, in one transaction. */
  apply(
    changes: readonly { kind: DocumentKind; row: number; id: string; json: string | null }[],
    appliedOffset: number,
  ): void;
  /** Documents by row, in the order asked; null where there is none. */
  getMany(kind: DocumentKind, rows: readonly number[]): Promise<(StoredDocument | null)[]>;
  /** The offset of the `items` topic up to which changes are in. */
  appliedOffset(): number;
  /**
   * Brings what is in to the disk, as far as readers let it; returns the applied offset that a
   * power loss leaves now.
   */
  sync(): number;
  /** Every stored document, for rebuilding shared memory at start. */
  all(kind: DocumentKind): Iterable<StoredDocument>;
  close(): void;
}

/** What the list sources read of a SequenceTable: row 0 is global, row 1 + c is category c. */
export interface ListTable {
  /** Copies a row's records; gives how many. */
  read(row: number, out: Uint32Array): number;
}

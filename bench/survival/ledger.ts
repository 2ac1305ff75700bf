/** What a client knows about what it sent: what was acknowledged, and what may have arrived. */
export class Ledger {
  /** Ids of events that an answer with 200 covered. */
  readonly acknowledged: string[] = [];
  /** By item: the version of the last document that was acknowledged, and of the last sent. */
  readonly documents = new Map<string, { acknowledged: number; sent: number }>();
  /** The user of each slate that was answered, by request id. */
  readonly slates = new Map<string, string>();
  readonly #known = new Set<string>();

  acknowledge(ids: readonly string[]): void {
    for (const id of ids) {
      if (this.#known.has(id)) continue;
      this.#known.add(id);
      this.acknowledged.push(id);
    }
  }

  sendDocument(item: string): number {
    const known = this.documents.get(item) ?? { acknowledged: 0, sent: 0 };
    known.sent++;
    this.documents.set(item, known);
    return known.sent;
  }

  acknowledgeDocument(item: string, version: number): void {
    const known = this.documents.get(item);
    if (known !== undefined) known.acknowledged = Math.max(known.acknowledged, version);
  }
}

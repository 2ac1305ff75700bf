/** What clients were told: it must hold whatever happens to the server. */
export interface SentEvent {
  readonly id: string;
  readonly type: string;
  readonly user: string;
  readonly item: string;
  /** Epoch milliseconds. */
  readonly time: number;
  readonly requestId?: string;
  readonly value?: number;
}

export interface ShownSlate {
  readonly requestId: string;
  readonly user: string;
  readonly items: readonly string[];
}

export class SimulationLedger {
  readonly acknowledged = new Map<string, SentEvent>();
  /** Sent and not acknowledged: sent again until they are. */
  readonly unanswered: SentEvent[] = [];
  /** By item: the number in the title that was acknowledged last. */
  readonly documents = new Map<string, number>();
  readonly slates: ShownSlate[] = [];
  /** By place in topic `served` (partition/offset): when the record was there, epoch ms. */
  readonly loggedMs = new Map<string, number>();
  /** How often what happened: that a run met what it is meant to meet. */
  readonly met = new Map<string, number>();

  meet(what: string, times = 1): void {
    this.met.set(what, (this.met.get(what) ?? 0) + times);
  }
}

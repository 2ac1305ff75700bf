/** What importing reads, checks and writes. */

export interface ImportEvent {
  /** The file's own id, or one that is made from the content: a second import changes nothing. */
  readonly id: string;
  readonly type: string;
  readonly user: string;
  readonly item: string;
  /** Epoch milliseconds. */
  readonly time: number;
  readonly value?: number;
  readonly requestId?: string;
}

/** A document of the v1 contract with its id inside. */
export type ImportDocument = Readonly<Record<string, unknown>> & { readonly id: string };

/** Where an entity stood. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

export type Entity =
  | { readonly kind: "item" | "user"; readonly value: ImportDocument; readonly place: Place }
  | { readonly kind: "event"; readonly value: ImportEvent; readonly place: Place };

/** What a sink did with a batch of events. */
export interface EventsWritten {
  readonly accepted: number;
  readonly duplicates: number;
}

/** Where an import goes: this process's own ingest, or a server over HTTP. */
export interface ImportSink {
  items(batch: readonly ImportDocument[]): Promise<void>;
  users(batch: readonly ImportDocument[]): Promise<void>;
  /** In the order of time over the whole import. Throws where any of the batch is refused. */
  events(batch: readonly ImportEvent[]): Promise<EventsWritten>;
}

/** Called by readers as they go: bytes of the files as they are stored. */
export type OnBytes = (bytes: number) => void;

/** A set of files of one format. `read` may be called again and then yields the same. */
export interface ImportSource {
  readonly files: readonly string[];
  /** How rows become events, in a sentence or two, for the person who imports. */
  readonly mapping: string;
  read(faults: Faults, onBytes: OnBytes): AsyncIterable<readonly Entity[]>;
}

export interface ImportFault extends Place {
  readonly field: string;
  readonly message: string;
}

/** Faults of the input: the first 20 are kept, the rest counted. */
export class Faults {
  readonly shown: ImportFault[] = [];
  total = 0;

  add(place: Place, field: string, message: string): void {
    this.total++;
    if (this.shown.length >= 20) return;
    this.shown.push({ file: place.file, line: place.line, field, message });
  }

  /** One line a fault. */
  text(): string {
    const files = [...new Set(this.shown.map(({ file }) => file))];
    const order = (fault: ImportFault) => files.indexOf(fault.file);
    const sorted = this.shown.toSorted((a, b) => order(a) - order(b) || a.line - b.line);
    const lines = sorted.map(
      ({ file, line, field, message }) => `  ${file}:${line} ${field}: ${message}`,
    );
    const rest = this.total - this.shown.length;
    return [...lines, ...(rest > 0 ? [`  ... and ${rest} more`] : [])].join("\n");
  }
}

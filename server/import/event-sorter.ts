import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLines } from "./reading.ts";
import type { ImportEvent } from "./types.ts";

/**
 * Puts any number of events into the order of their time, ties as they came, in bounded memory:
 * past `runEvents` a sorted run goes to a temporary file, and the runs are merged at the end.
 */
export class EventSorter {
  readonly #runEvents: number;
  #buffer: ImportEvent[] = [];
  readonly #runs: string[] = [];
  #folder: string | null = null;

  constructor(runEvents = 1_000_000) {
    this.#runEvents = runEvents;
  }

  async add(event: ImportEvent): Promise<void> {
    this.#buffer.push(event);
    if (this.#buffer.length >= this.#runEvents) await this.#spill();
  }

  get full(): boolean {
    return this.#buffer.length >= this.#runEvents - 1;
  }

  /** Everything, in order; may be called once. */
  async *sorted(): AsyncGenerator<ImportEvent> {
    this.#sortBuffer();
    if (this.#runs.length === 0) {
      yield* this.#buffer;
      return;
    }
    await this.#spill();
    yield* merged(this.#runs);
  }

  /** Removes the temporary files. */
  close(): void {
    this.#buffer = [];
    if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true });
  }

  #sortBuffer(): void {
    this.#buffer.sort((a, b) => a.time - b.time);
  }

  async #spill(): Promise<void> {
    if (this.#buffer.length === 0) return;
    this.#sortBuffer();
    mkdirSync(tmpdir(), { recursive: true });
    this.#folder ??= mkdtempSync(join(tmpdir(), "recmaster-import-"));
    const path = join(this.#folder, `run-${this.#runs.length}.ndjson`);
    for (let from = 0; from < this.#buffer.length; from += 10_000) {
      const part = this.#buffer.slice(from, from + 10_000);
      await appendFile(path, `${part.map((event) => JSON.stringify(event)).join("\n")}\n`);
    }
    this.#runs.push(path);
    this.#buffer = [];
  }
}

interface Head {
  readonly run: AsyncGenerator<ImportEvent>;
  event: ImportEvent;
}

/** The earliest head each time; of equal times the earlier run's, which was read first. */
async function* merged(paths: readonly string[]): AsyncGenerator<ImportEvent> {
  const heads: Head[] = [];
  for (const path of paths) {
    const run = eventsOf(path);
    const first = await run.next();
    if (first.done !== true) heads.push({ run, event: first.value });
  }
  while (heads.length > 0) {
    let at = 0;
    for (let i = 1; i < heads.length; i++) {
      if (heads[i]!.event.time < heads[at]!.event.time) at = i;
    }
    const head = heads[at]!;
    yield head.event;
    const next = await head.run.next();
    if (next.done === true) heads.splice(at, 1);
    else head.event = next.value;
  }
}

async function* eventsOf(path: string): AsyncGenerator<ImportEvent> {
  for await (const lines of readLines(path, () => {})) {
    for (const { text } of lines) {
      if (text !== "") yield JSON.parse(text);
    }
  }
}

import { text, utf8 } from "../../models/core/bytes.ts";
import type { TailedLog } from "../stores/event-log.ts";
import { encodeLate, type LateRecord } from "./late-records.ts";

/** Records that may wait to be written. */
const waitingMax = 20_000;

/**
 * Writes what was late to topic `late`, each once: the frame beside the newest records says up to
 * which number all have been written, and a replay leaves those out. Nobody waits for a write but a
 * checkpoint, behind which nothing is replayed.
 */
export class LateTopic {
  readonly #log: TailedLog;
  readonly #partition: number;
  #waiting: LateRecord[] = [];
  #through: number;
  #writing: Promise<void> | null = null;

  private constructor(log: TailedLog, partition: number, through: number) {
    this.#log = log;
    this.#partition = partition;
    this.#through = through;
  }

  static async open(log: TailedLog, partition: number): Promise<LateTopic> {
    log.openWriter("late", partition);
    const frame = await log.lastFrame("late", partition);
    const through: number = frame === null ? -1 : JSON.parse(text(frame));
    return new LateTopic(log, partition, through);
  }

  /** In the order of the numbers. */
  add(late: LateRecord): void {
    if (late.sequence > this.#through) this.#waiting.push(late);
  }

  /** Begins to write what waits. */
  advance(): void {
    if (this.#waiting.length > 0 && this.#writing === null) this.#begin().catch(() => {});
  }

  /** So much waits that it must be written before more is taken in: a disk refuses it. */
  get isFull(): boolean {
    return this.#waiting.length > waitingMax;
  }

  /** Something waits or is being written. */
  get isBusy(): boolean {
    return this.#waiting.length > 0 || this.#writing !== null;
  }

  /** Everything added so far is written. */
  async flush(): Promise<void> {
    while (this.isBusy) await this.#begin();
  }

  #begin(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    const records = this.#waiting;
    const last = records.at(-1);
    if (last === undefined) return;
    const options = { durable: false, frame: utf8(JSON.stringify(last.sequence)) };
    await this.#log.append("late", this.#partition, records.map(encodeLate), options);
    this.#waiting = this.#waiting.slice(records.length);
    this.#through = last.sequence;
  }
}

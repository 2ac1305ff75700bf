import type { Figure } from "../statistics.ts";

/** Records and the time they took: on the clock, and of the processor, all threads. */
export class Meter {
  #records = 0;
  #wallMs = 0;
  #cpuMs = 0;

  time(records: number, work: () => void): void {
    const stop = this.#start(records);
    work();
    stop();
  }

  async timeAsync(records: number, work: () => Promise<void>): Promise<void> {
    const stop = this.#start(records);
    await work();
    stop();
  }

  #start(records: number): () => void {
    const cpu = process.cpuUsage();
    const wallMs = performance.now();
    return () => {
      this.#wallMs += performance.now() - wallMs;
      const { user, system } = process.cpuUsage(cpu);
      this.#cpuMs += (user + system) / 1_000;
      this.#records += records;
    };
  }

  /** Per second of one core: the processor time of every thread, compiler and collector too. */
  perCpuSecond(): Figure {
    return { value: (1_000 * this.#records) / this.#cpuMs, unit: "1/s" };
  }

  perSecond(): Figure {
    return { value: (1_000 * this.#records) / this.#wallMs, unit: "1/s" };
  }
}

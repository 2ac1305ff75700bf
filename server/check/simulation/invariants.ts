import type { SimulatedServer } from "./simulated-server.ts";

/** What must hold at every moment of a life: things that only grow. */
export class Invariants {
  readonly #largest = new Map<string, number>();
  readonly #owners = new Map<string, unknown>();
  readonly #differ: (text: string) => void;
  #version = 0;

  constructor(differ: (text: string) => void) {
    this.#differ = differ;
  }

  check(server: SimulatedServer): void {
    const { windows, joiner, log } = server;
    this.#live(server);
    for (const core of [windows?.core, joiner?.core]) {
      for (const { topic, partition, offset, watermark } of core?.sources ?? []) {
        const name = `${core === windows?.core ? "windows" : "joiner"} ${topic}/${partition}`;
        this.#grows(`watermark of ${name}`, core, watermark.valueMs);
        this.#grows(`offset of ${name}`, core, offset);
        const end = log.endOffset(topic, partition);
        if (offset > end) this.#differ(`offset of ${name} is ${offset}, the log ends at ${end}`);
      }
    }
    if (windows !== null) this.#grows("sequence", windows.core, windows.core.sequence);
  }

  /** What is live only gets newer, and is finite. */
  #live({ state }: SimulatedServer): void {
    const { slot, version } = state.slots.current();
    const isNew = this.#owners.get("live version") !== state || version !== this.#version;
    this.#version = version;
    this.#grows("live version", state, version);
    if (!isNew || slot < 0 || state.slots.weights(slot).every(Number.isFinite)) return;
    this.#differ(`version ${version} went live with weights that are not finite`);
  }

  #grows(name: string, owner: unknown, value: number): void {
    const before = this.#owners.get(name) === owner ? (this.#largest.get(name) ?? value) : value;
    if (value < before) this.#differ(`${name} went back from ${before} to ${value}`);
    this.#owners.set(name, owner);
    this.#largest.set(name, value);
  }
}

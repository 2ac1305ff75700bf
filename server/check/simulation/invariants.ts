import type { LogSource } from "../../../workers/stores/log-source.ts";
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
    const { log } = server;
    this.#live(server);
    for (const share of [server.windows, server.windows1]) {
      for (const { core } of share?.roles ?? []) {
        this.#checkSources("windows", core, log);
        this.#grows(`sequence of ${core.sources[0]?.partition}`, core, core.sequence);
      }
    }
    for (const share of [server.joiner, server.joiner1]) {
      for (const { core } of share?.roles ?? []) this.#checkSources("joiner", core, log);
    }
  }

  #checkSources(
    role: string,
    core: { readonly sources: readonly LogSource[] },
    log: SimulatedServer["log"],
  ): void {
    const [first] = core.sources;
    for (const { topic, partition, offset, watermark } of core.sources) {
      const name = `${role} ${first?.partition}: ${topic}/${partition}`;
      this.#grows(`watermark of ${name}`, core, watermark.valueMs);
      this.#grows(`offset of ${name}`, core, offset);
      const end = log.endOffset(topic, partition);
      if (offset > end) this.#differ(`offset of ${name} is ${offset}, the log ends at ${end}`);
    }
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

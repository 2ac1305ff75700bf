import type { Random } from "../../models/core/random.ts";
import type { Oracle } from "./oracle.ts";
import type { Population, Session } from "./user-model.ts";
import type { World } from "./world.ts";

/** A way to fill a slate from the truth or from counts, for comparison. */
export interface Policy {
  readonly name: string;
  /** Slots, unseen ones first choice. `population.markSeen(session.user)` was just called. */
  slate(session: Session, n: number): number[];
  /** What users did, so that a policy may count. */
  clicked?(slot: number, timeMs: number): void;
}

function unseen(population: Population, slot: number): boolean {
  return population.mark[slot] !== population.stamp;
}

/** Uniform over the items that the user has not seen (seen ones when tries run out). */
export function randomPolicy(population: Population, random: Random): Policy {
  const { items } = population.world.options;
  const slate = (_session: Session, n: number) => {
    const chosen = new Set<number>();
    const wanted = Math.min(n, items);
    for (let tries = 0; chosen.size < wanted; tries++) {
      const slot = random.int(items);
      if (tries > 20 * n || unseen(population, slot)) chosen.add(slot);
    }
    return [...chosen];
  };
  return { name: "random", slate };
}

const HALF_LIFE_MS = 30 * 60_000;
const SORT_EVERY_MS = 5_000;

/** The most clicked items of late (half-life 30 minutes) that the user has not seen. */
export class Popularity implements Policy {
  readonly name = "popularity";
  readonly #population: Population;
  /** Clicks weighted by 2 ^ (time / half-life): new ones outweigh old ones, none is touched. */
  readonly #clicks: Float64Array;
  readonly #numbers: Float64Array;
  readonly #fallback: Policy;
  #order: number[] = [];
  #sortedMs = Number.NEGATIVE_INFINITY;
  #originMs = 0;
  #nowMs = 0;

  constructor(population: Population, random: Random) {
    const { items, startMs } = population.world.options;
    this.#population = population;
    this.#clicks = new Float64Array(items);
    this.#numbers = new Float64Array(items).fill(-1);
    this.#fallback = randomPolicy(population, random);
    this.#originMs = startMs;
  }

  clicked(slot: number, timeMs: number): void {
    this.#forget(this.#population.world, slot);
    this.#nowMs = Math.max(this.#nowMs, timeMs);
    if (this.#nowMs - this.#originMs > 200 * HALF_LIFE_MS) this.#rebase();
    this.#clicks[slot]! += 2 ** ((timeMs - this.#originMs) / HALF_LIFE_MS);
  }

  slate(session: Session, n: number): number[] {
    if (this.#nowMs - this.#sortedMs >= SORT_EVERY_MS) this.#sort();
    const slate: number[] = [];
    for (const slot of this.#order) {
      if (slate.length >= n) break;
      if (unseen(this.#population, slot)) slate.push(slot);
    }
    if (slate.length === n) return slate;
    return [...new Set([...slate, ...this.#fallback.slate(session, n)])].slice(0, n);
  }

  /** A slot whose item is another now starts from nothing. */
  #forget(world: World, slot: number): void {
    const number = world.numberAt(slot);
    if (this.#numbers[slot] === number) return;
    this.#numbers[slot] = number;
    this.#clicks[slot] = 0;
  }

  #sort(): void {
    const { world } = this.#population;
    const { items } = world.options;
    this.#sortedMs = this.#nowMs;
    const slots: number[] = [];
    for (let slot = 0; slot < items; slot++) {
      this.#forget(world, slot);
      if (this.#clicks[slot]! > 0) slots.push(slot);
    }
    this.#order = slots.sort((a, b) => this.#clicks[b]! - this.#clicks[a]!).slice(0, 1_000);
  }

  /** Moves the origin, before the weights outgrow a double. */
  #rebase(): void {
    const scale = 2 ** -((this.#nowMs - this.#originMs) / HALF_LIFE_MS);
    for (let i = 0; i < this.#clicks.length; i++) this.#clicks[i]! *= scale;
    this.#originMs = this.#nowMs;
  }
}

export function oraclePolicy(oracle: Oracle): Policy {
  return { name: "oracle", slate: (session, n) => oracle.slate(session, n) };
}

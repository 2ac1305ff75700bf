import { hashDirection, hashUnit } from "./hashing.ts";
import type { World } from "./world.ts";

const HOUR = 3_600_000;
const favourites = 3;

/** One visit of a user: what she wants during it, and what she is tired of. */
export interface Session {
  readonly user: number;
  requestsLeft: number;
  /** What each category adds to the logit, for this user since the session began. */
  readonly taste: Float32Array;
  readonly topics: Float32Array;
  /** Items of each category shown lately in this session, fading slate by slate. */
  readonly saturation: Float32Array;
}

/**
 * The users. Taste is a function of (seed, user, time): no state but the ring of what each user was
 * shown, `seenPerUser` item numbers long.
 */
export class Population {
  readonly world: World;
  readonly #seen: Int32Array;
  readonly #seenCount: Uint32Array;
  /** mark[slot] = `#stamp` where the user of the last `markSeen` call has seen the slot's item. */
  readonly mark: Uint32Array;
  readonly #cumulative: Float64Array;
  stamp = 0;

  constructor(world: World) {
    const { users, items, categories, seenPerUser } = world.options;
    this.world = world;
    this.#seen = new Int32Array(users * seenPerUser);
    this.#seenCount = new Uint32Array(users);
    this.mark = new Uint32Array(items);
    this.#cumulative = cumulativeShares(categories);
  }

  idOf(user: number): string {
    return `u${user}`;
  }

  /** A user's favourite category of rank 0 to 2 now. Rank 0 of small ids: user mod categories. */
  favourite(user: number, rank: number, timeMs: number): number {
    const { seed, categories, steadyUsers, driftPerHour, startMs } = this.world.options;
    const epoch = Math.floor(
      ((timeMs - startMs) / HOUR) * (driftPerHour / favourites) + hashUnit(seed, user, 21, rank),
    );
    if (rank === 0 && (user < steadyUsers || (epoch === 0 && user < 5 * steadyUsers))) {
      return user % categories;
    }
    const share = hashUnit(seed, user, 22 + rank, epoch);
    let category = 0;
    while (category < categories - 1 && this.#cumulative[category]! < share) category++;
    return category;
  }

  startSession(user: number, timeMs: number, requests: number): Session {
    const { categories, topics, seed, favouriteWeights } = this.world.options;
    const taste = new Float32Array(categories);
    for (let rank = 0; rank < favourites; rank++) {
      const category = this.favourite(user, rank, timeMs);
      taste[category] = Math.max(taste[category]!, favouriteWeights[rank]!);
    }
    const direction = new Float32Array(topics);
    hashDirection(seed ^ 0x51ed, user, direction, { from: 0, length: topics });
    const saturation = new Float32Array(categories);
    return { user, requestsLeft: requests, taste, topics: direction, saturation };
  }

  /** Marks the slots that the user remembers; valid until the next call. */
  markSeen(user: number): void {
    const { seenPerUser, items } = this.world.options;
    this.stamp++;
    const first = this.world.nextItem - items;
    const count = Math.min(this.#seenCount[user]!, seenPerUser);
    for (let i = 0; i < count; i++) {
      const number = this.#seen[user * seenPerUser + i]!;
      if (number >= first) this.mark[number % items] = this.stamp;
    }
  }

  remember(user: number, slot: number): void {
    const { seenPerUser } = this.world.options;
    const at = this.#seenCount[user]! % seenPerUser;
    this.#seen[user * seenPerUser + at] = this.world.numberAt(slot);
    this.#seenCount[user]!++;
  }
}

/** Category c draws users in proportion to (c + 2) ^ -.5: some are popular, none rules. */
function cumulativeShares(categories: number): Float64Array {
  const out = new Float64Array(categories);
  let sum = 0;
  for (let c = 0; c < categories; c++) {
    sum += (c + 2) ** -0.5;
    out[c] = sum;
  }
  return out.map((value) => value / sum);
}

import type { Clock } from "../../models/core/clock.ts";
import { Random } from "../../models/core/random.ts";
import { behave, slateChances, tire } from "./choice-model.ts";
import { EventQueue } from "./event-queue.ts";
import { Oracle } from "./oracle.ts";
import { type Policy, Popularity, randomPolicy } from "./policies.ts";
import type { ClientEvent, RecommendAnswer, RecommenderUnderTest } from "./port.ts";
import { Report } from "./report.ts";
import { Population, type Session } from "./user-model.ts";
import type { World } from "./world.ts";

export interface EnvironmentOptions {
  readonly world: World;
  readonly clock: Clock;
  readonly recommender: RecommenderUnderTest;
  /** Sessions that begin per second, at random moments (Poisson). */
  readonly sessionsPerSecond: number;
  readonly slateItems?: number;
  /** Mean slates of a session (geometric, at least 1). */
  readonly slatesPerSession?: number;
  /** Every so many slates one is compared with the oracle; 0 for never. */
  readonly compareEvery?: number;
  /** Time that an event carries; the identity unless simulated time runs faster than real time. */
  readonly stampMs?: (simulatedMs: number) => number;
  /** Goes before event ids, so that two runs against one server are not each other's duplicates. */
  readonly runId?: string;
  readonly sessionsMax?: number;
  readonly outboxMax?: number;
}

const PLACE_MS = 700;
const FLUSH_MS = 100;
const WORLD_STEP_MS = 5_000;
const BATCH_MAX = 1_000;

/**
 * Users living on a recommender: sessions begin, slates are asked for, looked at, clicked, watched,
 * liked, and minutes later converted. Everything is an action of the queue; a driver in traffic.ts
 * runs the queue in virtual or in real time.
 */
export class Environment {
  readonly queue = new EventQueue();
  readonly report = new Report();
  readonly population: Population;
  readonly oracle: Oracle;
  readonly popularity: Popularity;
  readonly #random: Policy;
  readonly #options: Required<EnvironmentOptions>;
  readonly #arrivals: Random;
  readonly #behaviour: Random;
  /** One session a user at most. */
  readonly #active = new Map<number, Session>();
  #outbox: ClientEvent[] = [];
  #flushing = false;
  #eventCount = 0;
  #slates = 0;
  #lostEvents = 0;
  readonly #chances = new Float64Array(256);

  constructor(options: EnvironmentOptions) {
    this.#options = {
      slateItems: 10,
      slatesPerSession: 5,
      compareEvery: 20,
      stampMs: (timeMs) => timeMs,
      runId: `s${options.world.options.seed}`,
      sessionsMax: 100_000,
      outboxMax: 200_000,
      ...options,
    };
    const { world } = options;
    const seeds = new Random(world.options.seed);
    this.#arrivals = seeds.fork();
    this.#behaviour = seeds.fork();
    this.population = new Population(world);
    this.oracle = new Oracle(this.population, this.#chances.length);
    this.popularity = new Popularity(this.population, seeds.fork());
    this.#random = randomPolicy(this.population, seeds.fork());
  }

  get sessions(): number {
    return this.#active.size;
  }

  /** The session in which a user is; an empty one where she is not here. */
  sessionOf(user: number): Session {
    const now = this.#options.clock.nowMs();
    return this.#active.get(user) ?? this.population.startSession(user, now, 1);
  }

  /** Events that were dropped because the recommender did not take them. */
  get lostEvents(): number {
    return this.#lostEvents;
  }

  /** Schedules the first arrival and the world's clockwork. */
  start(): void {
    const now = this.#options.clock.nowMs();
    this.queue.at(now + WORLD_STEP_MS, (at) => this.#stepWorld(at));
    this.#scheduleArrival(now);
  }

  /** Sends the documents of all living items, in batches. */
  async publishItems(batchItems = BATCH_MAX): Promise<void> {
    const { world, recommender } = this.#options;
    const first = world.nextItem - world.options.items;
    for (let from = first; from < world.nextItem; from += batchItems) {
      const count = Math.min(batchItems, world.nextItem - from);
      const batch = Array.from({ length: count }, (_, i) => world.documentOf(from + i));
      await recommender.items(batch);
    }
  }

  #stepWorld(nowMs: number): void | Promise<void> {
    const { world, recommender } = this.#options;
    this.queue.at(nowMs + WORLD_STEP_MS, (at) => this.#stepWorld(at));
    const { from, to } = world.advanceTo(nowMs);
    if (to === from) return;
    const count = Math.min(to - from, world.options.items);
    const come = Array.from({ length: count }, (_, i) => world.documentOf(to - count + i));
    const gone = come.map(({ id }) => ({
      id: `i${Number(id.slice(1)) - world.options.items}`,
      hidden: true,
    }));
    return this.#guard(recommender.items([...come, ...gone]));
  }

  #scheduleArrival(nowMs: number): void {
    const gapMs = this.#arrivals.exponential(1_000 / this.#options.sessionsPerSecond);
    this.queue.at(nowMs + gapMs, (at) => {
      this.#scheduleArrival(nowMs + gapMs);
      return this.#arrive(at);
    });
  }

  /** A user who is not here already; active users come more often (a power of a uniform). */
  #arrive(nowMs: number): void | Promise<void> {
    if (this.#active.size >= this.#options.sessionsMax) return;
    let user = 0;
    for (let tries = 0; tries < 8; tries++) {
      user = Math.floor(this.#options.world.options.users * this.#arrivals.next() ** 1.5);
      if (!this.#active.has(user)) break;
    }
    const length = 1 + Math.floor(this.#arrivals.exponential(this.#options.slatesPerSession - 0.5));
    if (this.#active.has(user)) return;
    const session = this.population.startSession(user, nowMs, Math.min(length, 50));
    this.#active.set(user, session);
    return this.#ask(session);
  }

  #ask(session: Session): void | Promise<void> {
    const user = this.population.idOf(session.user);
    try {
      const answer = this.#options.recommender.recommend({ user, n: this.#options.slateItems });
      if (!(answer instanceof Promise)) return this.#show(session, answer);
      return answer.then(
        (value) => this.#show(session, value),
        () => this.#failed(session),
      );
    } catch {
      return this.#failed(session);
    }
  }

  #failed(session: Session): void {
    this.report.add("failed");
    this.#continueOrLeave(session, this.#options.clock.nowMs() + 1_000);
  }

  #continueOrLeave(session: Session, nextMs: number): void {
    if (--session.requestsLeft > 0) {
      this.queue.at(nextMs, () => this.#ask(session));
      return;
    }
    this.#active.delete(session.user);
  }

  #show(session: Session, answer: RecommendAnswer): void {
    const { world, clock } = this.#options;
    const nowMs = clock.nowMs();
    const slots = answer.items.slice(0, this.#chances.length).map(({ id }) => world.slotOf(id));
    this.population.markSeen(session.user);
    const expected = slateChances(this.population, session, slots, this.#chances);
    this.report.slate(slots.length, expected);
    if ((answer.degraded?.length ?? 0) > 0) this.report.add("degraded");
    const { compareEvery } = this.#options;
    if (compareEvery > 0 && this.#slates++ % compareEvery === 0) {
      this.#compare(session, slots.length, expected);
      // The comparison used the buffer of chances.
      slateChances(this.population, session, slots, this.#chances);
    }
    const doneMs = this.#look({ session, answer, slots, nowMs });
    tire(this.population, session, slots);
    this.#continueOrLeave(session, doneMs + this.#behaviour.exponential(3_000));
  }

  #compare(session: Session, n: number, own: number): void {
    if (n === 0) return;
    const chancesOf = (slots: readonly number[]) =>
      slateChances(this.population, session, slots, this.#chances);
    this.report.compare(n, {
      own,
      random: chancesOf(this.#random.slate(session, n)),
      popularity: chancesOf(this.popularity.slate(session, n)),
      oracle: chancesOf(this.oracle.slate(session, n)),
    });
  }

  /** Schedules what the user does with a slate; returns when she is done with it. */
  #look(view: {
    session: Session;
    answer: RecommendAnswer;
    slots: readonly number[];
    nowMs: number;
  }): number {
    const { session, answer, slots, nowMs } = view;
    const { world } = this.#options;
    const by = { user: this.population.idOf(session.user), requestId: answer.requestId };
    this.queue.at(nowMs + 50, (at) => {
      for (const { id } of answer.items) this.#send("impression", at, { ...by, item: id });
    });
    // She looks over the slate first and plays what she clicked afterwards, one after another.
    let playMs = nowMs + slots.length * PLACE_MS;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      const shown = { session, slot, chance: this.#chances[i]! };
      const outcome = behave(world, this.#behaviour, shown);
      if (!outcome.clicked) continue;
      const about = { ...by, item: answer.items[i]!.id };
      this.queue.at(nowMs + (i + this.#behaviour.next()) * PLACE_MS + 60, (at) => {
        this.report.add("clicks");
        this.popularity.clicked(slot, at);
        this.#send("click", at, about);
      });
      playMs += 1_000 * outcome.watchSeconds;
      this.#play(playMs, about, outcome);
    }
    return playMs;
  }

  #play(
    endMs: number,
    about: { user: string; item: string; requestId: string },
    outcome: ReturnType<typeof behave>,
  ): void {
    this.queue.at(endMs, (at) => {
      const value = Math.round(outcome.watchSeconds * 100) / 100;
      this.report.add("watchSeconds", value);
      this.#send("watch", at, { ...about, value });
      if (outcome.finished) {
        this.report.add("finishes");
        this.#send("finish", at, about);
      }
      if (outcome.liked) {
        this.report.add("likes");
        this.#send("like", at, about);
      }
    });
    if (!outcome.converted) return;
    this.queue.at(endMs + 30_000 + this.#behaviour.exponential(240_000), (at) => {
      this.report.add("conversions");
      this.#send("convert", at, { ...about, value: 10 });
    });
  }

  #send(
    type: string,
    nowMs: number,
    about: { user: string; item: string; requestId: string; value?: number },
  ): void {
    if (this.#outbox.length >= this.#options.outboxMax) {
      this.#lostEvents++;
      return;
    }
    const id = `${this.#options.runId}-${(this.#eventCount++).toString(36)}`;
    const time = Math.floor(this.#options.stampMs(nowMs));
    this.#outbox.push({ id, type, time, ...about });
    if (this.#flushing) return;
    this.#flushing = true;
    this.queue.at(nowMs + FLUSH_MS, () => this.#flush());
  }

  #flush(): void | Promise<void> {
    this.#flushing = false;
    const batch = this.#outbox;
    this.#outbox = [];
    for (let from = 0; from < batch.length; from += BATCH_MAX) {
      const part = batch.slice(from, from + BATCH_MAX);
      const sent = this.#guard(this.#options.recommender.events(part), part.length);
      if (sent !== undefined && batch.length <= BATCH_MAX) return sent;
    }
  }

  /** A refused batch is counted, not fatal: the users live on. */
  #guard(sent: void | Promise<void>, events = 0): void | Promise<void> {
    if (!(sent instanceof Promise)) return;
    return sent.catch(() => {
      this.#lostEvents += events;
      this.report.add("failed");
    });
  }
}

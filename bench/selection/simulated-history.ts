import { assert } from "../../models/core/assert.ts";
import { ManualClock } from "../../models/core/clock.ts";
import { Random } from "../../models/core/random.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { labelRows } from "../../server/history/label-rows.ts";
import type { History, HistoryTie, PlacedEvent } from "../../server/history/read-history.ts";
import { itemBatch } from "../../server/ingest/document-schemas.ts";
import { afterClick, appeal } from "../../workers/simulator/choice-model.ts";
import { Environment } from "../../workers/simulator/environment.ts";
import { randomPolicy } from "../../workers/simulator/policies.ts";
import { PolicyRecommender } from "../../workers/simulator/policy-recommender.ts";
import type {
  ClientEvent,
  ItemDocument,
  RecommendAnswer,
  RecommenderUnderTest,
  RecommendRequest,
} from "../../workers/simulator/port.ts";
import { runVirtual } from "../../workers/simulator/traffic.ts";
import { World } from "../../workers/simulator/world.ts";

export interface SimulatedSizes {
  readonly seed: number;
  readonly users: number;
  readonly items: number;
  readonly minutes: number;
  readonly slatesPerSecond: number;
}

export interface SimulatedHistory {
  readonly history: History;
  /** The chance that a click at this row would convert, also where there was none. */
  rateOf(row: { readonly user: string; readonly item: string; readonly timeMs: number }): number;
}

const slatesPerSession = 5;
const minuteMs = 60_000;
/** Conversions come half a minute and more after the video: the last rows wait for theirs. */
const settleMinutes = 20;
/** Rows of the last part of the counted time are held. */
const heldShare = 0.25;

/** Notes all that passes, with what would have come of a click on each item that was shown. */
class Recorder implements RecommenderUnderTest {
  readonly told: ClientEvent[] = [];
  readonly documents = new Map<string, ItemDocument>();
  readonly #rates = new Map<string, number>();
  readonly #inner = new PolicyRecommender();
  #environment: Environment | null = null;

  serve(environment: Environment, random: Random): void {
    this.#environment = environment;
    this.#inner.serve(environment, randomPolicy(environment.population, random));
  }

  recommend(request: RecommendRequest): RecommendAnswer {
    const answer = this.#inner.recommend(request);
    assert(this.#environment !== null, "an environment to serve");
    const { world } = this.#environment.population;
    const session = this.#environment.sessionOf(Number(request.user.slice(1)));
    for (const { id } of answer.items) {
      const rate = afterClick.convert(appeal(world, session, world.slotOf(id)));
      this.#rates.set(`${answer.requestId} ${id}`, rate);
    }
    return answer;
  }

  events(batch: readonly ClientEvent[]): void {
    for (const event of batch) this.told.push(event);
  }

  items(batch: readonly ItemDocument[]): void {
    // Hiding an old item says nothing that a ranker knows.
    for (const document of batch) {
      if (document.hidden !== true) this.documents.set(document.id, document);
    }
  }

  rateOf({ requestId, item }: ClientEvent): number {
    return this.#rates.get(`${requestId} ${item}`) ?? Number.NaN;
  }
}

/** Users who live on random slates in virtual time, as a history to train on. */
export async function simulatedHistory(
  definition: RecommenderDefinition,
  sizes: SimulatedSizes,
): Promise<SimulatedHistory> {
  const { seed, users, items, minutes, slatesPerSecond } = sizes;
  const world = new World({ seed, users, items });
  const { startMs } = world.options;
  const clock = new ManualClock(startMs);
  const recorder = new Recorder();
  const environment = new Environment({
    ...{ world, clock, recommender: recorder, slatesPerSession, compareEvery: 0 },
    sessionsPerSecond: slatesPerSecond / slatesPerSession,
  });
  recorder.serve(environment, new Random(seed));
  await environment.publishItems();
  environment.start();
  const endMs = startMs + (minutes + settleMinutes) * minuteMs;
  await runVirtual({ queue: environment.queue, clock, untilMs: endMs });
  return labelled(definition, recorder, { startMs, untilMs: startMs + minutes * minuteMs });
}

function labelled(
  definition: RecommenderDefinition,
  recorder: Recorder,
  of: { readonly startMs: number; readonly untilMs: number },
): SimulatedHistory {
  const types = new Map(definition.interactions.map(({ name }, type) => [name, type]));
  const documents = documentsOf(recorder);
  const rates = new Map<string, number>();
  const key = (user: string, item: string, timeMs: number) => `${user} ${item} ${timeMs}`;
  const events = recorder.told.map((event): PlacedEvent => {
    const { user, item, time: timeMs, value = 0 } = event;
    const type = types.get(event.type);
    assert(type !== undefined, `the definition has ${event.type}`);
    if (event.type === "impression") rates.set(key(user, item, timeMs), recorder.rateOf(event));
    const document = documents.get(item) ?? null;
    return { type, user, item, timeMs, value, document, held: false };
  });
  const heldFromMs = of.untilMs - heldShare * (of.untilMs - of.startMs);
  const all = labelRows(definition, events, heldFromMs);
  const ties = all.filter((tie: HistoryTie) => tie.timeMs < of.untilMs);
  const rows = ties.reduce((sum, tie) => sum + tie.rows.length, 0);
  const rateOf: SimulatedHistory["rateOf"] = ({ user, item, timeMs }) =>
    rates.get(key(user, item, timeMs)) ?? Number.NaN;
  return { history: { documents: [], ties, rows }, rateOf };
}

function documentsOf({ documents }: Recorder) {
  const read = itemBatch.read([...documents.values()]);
  assert(Array.isArray(read), "documents of the simulator");
  return new Map(read.map(({ id, ...document }) => [id, { item: id, document }] as const));
}

import type { Random } from "../models/core/random.ts";
import { httpRequest, type LoadClient, type LoadResult, type Sample } from "./open-loop.ts";

/** One thing that a user may do, and how often beside the others. */
export interface Task {
  readonly name: string;
  readonly weight: number;
  request(random: Random, sizes: { users: number; items: number }): Uint8Array;
}

const user = (random: Random, users: number) => `u${random.int(users)}`;
const item = (random: Random, items: number) => `i${random.int(items)}`;

/** A feed's usual mix: mostly slates, some with details, events after them, a page of its like. */
export const feedTasks: readonly Task[] = [
  {
    name: "recommend",
    weight: 6,
    request: (random, { users }) =>
      httpRequest("POST", "/v1/recommend", { user: user(random, users), n: 20 }),
  },
  {
    name: "recommendDetails",
    weight: 2,
    request: (random, { users }) =>
      httpRequest("POST", "/v1/recommend", { user: user(random, users), n: 20, details: true }),
  },
  {
    name: "events",
    weight: 4,
    request: (random, { users, items }) => {
      const who = user(random, users);
      const events = ["impression", "impression", "click"].map((type) => ({
        ...{ type, user: who, item: item(random, items) },
      }));
      return httpRequest("POST", "/v1/events", events);
    },
  },
  {
    name: "similar",
    weight: 1,
    request: (random, { items }) => httpRequest("GET", `/v1/items/${item(random, items)}/similar`),
  },
];

export function chooseTask(tasks: readonly Task[], random: Random): Task {
  let left = random.next() * tasks.reduce((sum, { weight }) => sum + weight, 0);
  for (const task of tasks) {
    left -= task.weight;
    if (left < 0) return task;
  }
  return tasks[tasks.length - 1]!;
}

export interface ScenarioResult extends LoadResult {
  /** Answers by the name of the task. */
  readonly byTask: ReadonlyMap<string, readonly Sample[]>;
}

/**
 * Users who come one after another over `rampSeconds`, each doing one task after another with a
 * pause between (exponential, mean `pauseMs`).
 */
export async function runScenario(
  client: LoadClient,
  options: {
    tasks: readonly Task[];
    users: number;
    rampSeconds: number;
    seconds: number;
    pauseMs: number;
    random: Random;
    sizes: { users: number; items: number };
  },
): Promise<ScenarioResult> {
  const { tasks, users, rampSeconds, seconds, pauseMs, sizes } = options;
  const byTask = new Map<string, Sample[]>(tasks.map(({ name }) => [name, []]));
  const startMs = performance.now();
  const live = async (index: number) => {
    const random = options.random.fork();
    await Bun.sleep((index * rampSeconds * 1_000) / users);
    while (performance.now() - startMs < seconds * 1_000) {
      const task = chooseTask(tasks, random);
      const atMs = performance.now() - startMs;
      const { status, latencyMs } = await client.request(task.request(random, sizes));
      byTask.get(task.name)?.push({ atMs, status, latencyMs, good: status === 200 });
      await Bun.sleep(random.exponential(pauseMs));
    }
  };
  await Promise.all(Array.from({ length: users }, (_, index) => live(index)));
  const samples = [...byTask.values()].flat();
  return { samples, seconds: (performance.now() - startMs) / 1_000, clientLateMs: [], byTask };
}

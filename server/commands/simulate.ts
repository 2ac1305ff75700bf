import { ManualClock } from "../../models/core/clock.ts";
import { Random } from "../../models/core/random.ts";
import { Environment } from "../../workers/simulator/environment.ts";
import { HttpRecommender, parseMetrics } from "../../workers/simulator/http-recommender.ts";
import { NdjsonRecorder } from "../../workers/simulator/ndjson-recorder.ts";
import { randomPolicy } from "../../workers/simulator/policies.ts";
import { PolicyRecommender } from "../../workers/simulator/policy-recommender.ts";
import { runRealTime, runVirtual, ScaledClock } from "../../workers/simulator/traffic.ts";
import { World } from "../../workers/simulator/world.ts";
import { helpText, type OptionSpec, type ParsedOptions, parseOptions } from "./options.ts";
import { header, row, type ServerFigures } from "./simulate-table.ts";
import { liveVirtually } from "./simulate-virtual.ts";

const specs: Readonly<Record<string, OptionSpec>> = {
  url: { kind: "text", help: "the running server", default: "http://127.0.0.1:3000" },
  users: { kind: "number", help: "users of the world", default: 2_000, min: 1, max: 4_000_000 },
  items: { kind: "number", help: "items alive at a time", default: 2_000, min: 10, max: 1_000_000 },
  rate: { kind: "number", help: "slates asked for per second", default: 20, min: 0.01 },
  speed: { kind: "number", help: "how many times as fast as life", default: 1, min: 0.01 },
  drift: { kind: "number", help: "changes of a user's taste per hour", default: 0.5, min: 0 },
  minutes: {
    kind: "number",
    help: "real minutes (--out, --virtual: simulated)",
    default: 60,
    min: 0.01,
  },
  seed: { kind: "number", help: "the same seed gives the same world", default: 1, min: 0 },
  out: { kind: "text", help: "write v1 events (NDJSON) to this file, with no server" },
  virtual: { kind: "flag", help: "a server in this process, in virtual time, as fast as it goes" },
  help: { kind: "flag", help: "this text" },
};

const slatesPerSession = 5;
const printEveryMs = 5_000;
/** A fixed start, so that a seed gives the same run. */
const virtualStartMs = Date.UTC(2026, 0, 5, 8);

export interface SimulateHooks {
  readonly write: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** `simulate`: users living on a running server, or writing what they do to a file. */
export async function run(args: readonly string[], hooks?: SimulateHooks): Promise<number> {
  const write = hooks?.write ?? ((text: string) => void process.stdout.write(text));
  const options = parseOptions(args, specs);
  if (options.flag("help")) {
    write(helpText("simulate [options]", specs, "Slates hold 10 items; a session asks for 5."));
    return 0;
  }
  const out = options.text("out");
  if (out !== undefined) await writeFile(options, out, write);
  else if (options.flag("virtual")) {
    const world = worldOf(options, virtualStartMs);
    await liveVirtually({
      ...{ world, minutes: options.number("minutes"), seed: options.number("seed"), write },
      slatesPerSecond: options.number("rate"),
    });
  } else await live(options, write, hooks?.signal);
  return 0;
}

function worldOf(options: ParsedOptions, startMs: number): World {
  const items = options.number("items");
  return new World({
    seed: options.number("seed"),
    users: options.number("users"),
    driftPerHour: options.number("drift"),
    newItemsPerHour: 0.03 * items,
    ...{ items, startMs },
  });
}

/** Simulated time: a seed gives the same file byte for byte. */
async function writeFile(
  options: ParsedOptions,
  path: string,
  write: (text: string) => void,
): Promise<void> {
  const world = worldOf(options, virtualStartMs);
  const clock = new ManualClock(world.options.startMs);
  const policy = new PolicyRecommender();
  const items = path.replace(/(\.nd?json[l]?|\.jsonl)?$/, ".items.ndjson");
  const recommender = new NdjsonRecorder(policy, { events: path, items });
  const sessionsPerSecond = options.number("rate") / slatesPerSession;
  const environment = new Environment({ world, clock, recommender, sessionsPerSecond });
  const random = new Random(options.number("seed") + 1);
  policy.serve(environment, randomPolicy(environment.population, random));
  await environment.publishItems();
  environment.start();
  const untilMs = world.options.startMs + options.number("minutes") * 60_000;
  await runVirtual({ queue: environment.queue, clock, untilMs });
  recommender.close();
  write(`${recommender.written} events in ${path}, items in ${items}\n`);
}

async function live(
  options: ParsedOptions,
  write: (text: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const url = options.text("url") ?? "";
  const speed = options.number("speed");
  const startMs = Math.floor(performance.timeOrigin + performance.now());
  const token = process.env.API_TOKEN;
  const world = worldOf(options, startMs);
  const recommender = new HttpRecommender(token === undefined ? { url } : { url, token });
  const clock = new ScaledClock({ startMs, speed });
  const environment = new Environment({
    ...{ world, clock, recommender, slatesPerSession },
    sessionsPerSecond: options.number("rate") / slatesPerSession / speed,
    stampMs: (simulatedMs) => clock.realMs(simulatedMs),
    runId: `${options.number("seed")}-${startMs.toString(36)}`,
  });
  await environment.publishItems();
  environment.start();
  write(header);
  const metrics = new ServerMetrics(recommender);
  const printer = setInterval(async () => {
    const figures = environment.report.interval();
    write(row(figures, await metrics.read()));
  }, printEveryMs);
  const untilMs = startMs + options.number("minutes") * 60_000 * speed;
  const driven = { queue: environment.queue, clock, untilMs };
  await runRealTime(signal === undefined ? driven : { ...driven, signal });
  clearInterval(printer);
  write(`${header}${row(environment.report.total(), await metrics.read())}`);
}

/** What the server says of itself; NaN for what it does not say. */
class ServerMetrics {
  readonly #recommender: HttpRecommender;
  #sum = 0;
  #count = 0;

  constructor(recommender: HttpRecommender) {
    this.#recommender = recommender;
  }

  async read(): Promise<ServerFigures> {
    const text = await this.#recommender.text("/metrics").catch(() => "");
    const values = parseMetrics(text);
    const of = (name: string) => values.get(name) ?? Number.NaN;
    return {
      freshnessMs: this.#freshness(
        of('rec_freshness_ms_sum{from="accepted",until="windows"}'),
        of('rec_freshness_ms_count{from="accepted",until="windows"}'),
      ),
      version: of("rec_model_published_version"),
      swaps: of("rec_model_swaps_total"),
    };
  }

  /** Mean since the last reading: events in between, from accepted to applied. */
  #freshness(sum: number, count: number): number {
    const mean = (sum - this.#sum) / (count - this.#count);
    [this.#sum, this.#count] = [sum || 0, count || 0];
    return mean;
  }
}

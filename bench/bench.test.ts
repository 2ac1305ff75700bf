import { describe, expect, test } from "bun:test";
import type { ClientEvent, ItemDocument, RecommendRequest } from "../workers/simulator/port.ts";
import { clickShareOf, bench as freshness } from "./freshness.ts";
import { type Bench, runBench } from "./harness.ts";
import { bench as http } from "./http.ts";
import { qualityBench, type VirtualServer } from "./quality.ts";
import { fakeServer } from "./testing/fake-server.ts";

const command = ["--command", fakeServer];

async function smoke(bench: Bench, ...args: readonly string[]) {
  const lines: string[] = [];
  const write = (text: string) => void lines.push(...text.trimEnd().split("\n"));
  const output = await runBench(bench, ["--smoke", "--json", ...args], write);
  expect(JSON.parse(lines.at(-1) ?? "")).toEqual(JSON.parse(JSON.stringify(output)));
  const figures = new Map(Object.entries(output?.figures ?? {}));
  return { lines, figures, value: (name: string) => figures.get(name)?.value ?? Number.NaN };
}

/** Serves what was clicked most, to everyone; `advanceTo` lets what was sent take effect. */
class MostClicked implements VirtualServer {
  readonly log: string[];
  readonly #clicks = new Map<string, number>();
  #pending: string[] = [];
  #frozen = false;
  #requests = 0;

  constructor(log: string[]) {
    this.log = log;
  }

  recommend({ n }: RecommendRequest) {
    const items = [...this.#clicks].sort((a, b) => b[1] - a[1]).slice(0, 3 * n);
    const from = this.#requests++ % 3;
    return { requestId: "r", items: items.slice(from * n, (from + 1) * n).map(([id]) => ({ id })) };
  }

  events(batch: readonly ClientEvent[]): void {
    for (const { type, item } of batch) if (type === "click") this.#pending.push(item);
  }

  items(batch: readonly ItemDocument[]): void {
    for (const { id, hidden } of batch) {
      if (hidden === true) this.#clicks.delete(id);
      else this.#clicks.set(id, 0);
    }
  }

  advanceTo(): void {
    const clicked = this.#pending;
    this.#pending = [];
    if (this.#frozen) return;
    for (const item of clicked) this.#clicks.set(item, (this.#clicks.get(item) ?? 0) + 1);
  }

  freezeWeights(): void {
    this.log.push("weights");
  }

  freezeWindows(): void {
    this.log.push("windows");
    this.#frozen = true;
  }
}

describe("bench quality", () => {
  test("runs every arm of every seed, and the figures follow", async () => {
    const log: string[] = [];
    const { figures, value } = await smoke(qualityBench(async () => new MostClicked(log)));
    expect(log).toEqual([
      ...["weights", "windows", "weights", "windows"],
      ...["weights", "windows", "weights", "windows"],
    ]);
    const gain = value("clickRateServer") - value("clickRatePopularity");
    expect(value("shareOfOracleLift")).toBeLessThan(1);
    expect(Math.sign(value("shareOfOracleLift"))).toBe(Math.sign(gain));
    expect(value("oracleToRandom")).toBeGreaterThan(2.5);
    // The fake has no weights to freeze, so freezing them is the same run again.
    expect(value("clickRateWeightsFrozen")).toBe(value("clickRateServer"));
    expect(value("clickRateWindowsFrozen")).not.toBe(value("clickRateServer"));
    expect(value("clickRateBothFrozen")).toBe(value("clickRateWindowsFrozen"));
    expect(figures.get("shareOfOracleLift")?.low).toBeLessThan(value("shareOfOracleLift"));
  }, 30_000);

  test("without a server the policies alone are measured", async () => {
    const { figures } = await smoke(qualityBench(null));
    expect(figures.has("clickRateOracle")).toBe(true);
    expect(figures.has("shareOfOracleLift")).toBe(false);
  });
});

describe("bench http", () => {
  test("smoke against a small server: every figure is there and makes sense", async () => {
    const { figures, value } = await smoke(http, "--seconds", "1", ...command);
    for (const name of ["", "Details", "DetailsNoPrefetch", "Workers2", "DetailsWorkers2"]) {
      expect(value(`requestsPerCpuSecond${name}`)).toBeGreaterThan(0);
      expect(value(`latencyMsP99${name}`)).toBeGreaterThan(1);
      expect(value(`notGood${name}`) + value(`failed${name}`)).toBe(0);
    }
    expect(value("candidatesRanked")).toBe(100);
    expect(value("exitCode")).toBe(0);
    expect(value("overloadGoodputShare")).toBeGreaterThan(0);
    expect(value("scenarioRecommendMsP99")).toBeGreaterThan(1);
    expect(figures.has("cpuPerRequestWorkers2Ratio")).toBe(true);
  }, 120_000);
});

describe("bench freshness", () => {
  test("smoke: an event that takes effect after 10 ms is not reported faster", async () => {
    const { value } = await smoke(freshness, ...command);
    expect(value("acceptedToUsedMsP50Idle")).toBeGreaterThan(8);
    expect(value("slatesAskedMaxIdle")).toBeGreaterThan(1);
  }, 60_000);

  test("reads the share of clicks that the model was told", () => {
    const of = (value: unknown) => clickShareOf(new TextEncoder().encode(JSON.stringify(value)));
    const items = [{ id: "i1", features: { "user.recent50.clickShare": 0.9 } }];
    expect(of({ items, features: { user: { "user.recent50.clickShare": 0.5 } } })).toBe(0.5);
    expect(of({ items, features: { user: { other: 1 } } })).toBe(0);
    expect(of({ items })).toBe(0);
  });
});

describe("every benchmark", () => {
  test("takes --help and refuses what it does not know", async () => {
    for (const bench of [http, freshness, qualityBench(null)]) {
      const texts: string[] = [];
      expect(await runBench(bench, ["--help"], (text) => void texts.push(text))).toBeNull();
      expect(texts.join("")).toContain("--smoke");
      await expect(runBench(bench, ["--fast"])).rejects.toThrow("unknown option --fast");
    }
  });
});

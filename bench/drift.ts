import definition from "../models/definition/default.ts";
import { VirtualServer } from "../server/assembly/virtual-server.ts";
import type { Bench, Figure } from "./harness.ts";
import {
  type ArmName,
  qualityOptions,
  qualitySizes,
  runArm,
  type VirtualServerFactory,
} from "./quality.ts";
import { overSeeds } from "./statistics.ts";

/** How often a new model goes live; frozen: the model of minute 1 stays. */
const settings: readonly { name: string; arm: ArmName; publishEvery: number }[] = [
  { name: "Every100", arm: "live", publishEvery: 100 },
  { name: "Every1000", arm: "live", publishEvery: 1_000 },
  { name: "Every10000", arm: "live", publishEvery: 10_000 },
  { name: "Frozen", arm: "weightsFrozen", publishEvery: 100 },
];

interface Outcome {
  readonly clickRate: number;
  readonly regretPerSlate: number;
}

const smokeSizes = { users: 150, items: 400, minutes: 4, warmUpMinutes: 3, slatesPerSecond: 4 };

/** Means over seeds, and what each slower setting loses against the fastest, seed by seed. */
function figuresOf(runs: ReadonlyMap<string, readonly Outcome[]>): Record<string, Figure> {
  const figures: Record<string, Figure> = {};
  const fastest = runs.get("Every100") ?? [];
  for (const [name, outcomes] of runs) {
    const rates = outcomes.map(({ clickRate }) => clickRate);
    figures[`clickRate${name}`] = overSeeds(rates, "share");
    const regrets = outcomes.map(({ regretPerSlate }) => regretPerSlate);
    figures[`regret${name}`] = overSeeds(regrets, "clicks per slate");
    if (name === "Every100") continue;
    const lost = rates.map((rate, i) => 1 - rate / (fastest[i]?.clickRate ?? Number.NaN));
    figures[`clicksLost${name}`] = overSeeds(lost, "share");
  }
  return figures;
}

const create: VirtualServerFactory = (options) => VirtualServer.open({ ...options, definition });

export const bench: Bench = {
  name: "drift",
  about: "Click rate and regret by how often a new model goes live, while taste drifts.",
  options: { ...qualityOptions, drift: { ...qualityOptions.drift, default: 6 } },
  async run(context) {
    const sizes = qualitySizes(context, smokeSizes);
    const runs = new Map<string, Outcome[]>(settings.map(({ name }) => [name, []]));
    for (let i = 0; i < (context.smoke ? 1 : sizes.seeds); i++) {
      const seed = sizes.firstSeed + i;
      for (const { name, ...run } of settings) {
        const { counted } = await runArm(create, sizes, { seed, ...run });
        const { expectedClickRate: clickRate, regretPerSlate } = counted;
        runs.get(name)?.push({ clickRate, regretPerSlate });
        const percent = (100 * clickRate).toFixed(2);
        context.say(`seed ${seed} ${name}: ${percent} %, regret ${regretPerSlate.toFixed(2)}`);
      }
    }
    return figuresOf(runs);
  },
};

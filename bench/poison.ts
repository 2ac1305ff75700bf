import type { Bench, BenchContext, Figure } from "./harness.ts";
import { type AttackName, attackNames } from "./poison/attacks.ts";
import { Probe } from "./poison/probe.ts";
import { clickRateUnder, type VirtualRun, type VirtualSizes } from "./poison/virtual.ts";
import { overSeeds } from "./statistics.ts";

/**
 * Method: the same stream, or the same world of users, clean and with bad samples, with the guard
 * and without it. `probe`: bad samples in the second half of a drawn stream; the AUC of what is
 * live at its end. `virtual`: a whole server in virtual time whose samples go bad on their way to
 * the trainer; the click rate of what it shows meanwhile, paired by seed with the clean run.
 * `honest`: the drawn stream alone, spread over hours; what the guard keeps from going live is a
 * mistake. `creeping`: labels of its second half turn little by little, over hours.
 */

const allParts = ["probe", "virtual", "honest", "creeping"] as const;

function named(attack: AttackName): string {
  return `${attack.charAt(0).toUpperCase()}${attack.slice(1)}`;
}

function listOf(text: string | undefined): number[] {
  return (text ?? "").split(",").map(Number);
}

const figure = (value: number, unit: string): Figure => ({ value, unit });

function probeFigures(
  { smoke, options, seed, say }: BenchContext,
  attacks: readonly AttackName[],
): Record<string, Figure> {
  const samples = smoke ? 24_000 : options.number("samples");
  const probe = new Probe({ samples, probes: smoke ? 2_000 : 20_000, seed });
  const clean = probe.run({ attack: null, guarded: true });
  const figures: Record<string, Figure> = { aucClean: figure(clean.auc, "auc") };
  let finite = clean.finite ? 1 : 0;
  for (const attack of attacks) {
    const with_ = probe.run({ attack, guarded: true });
    const without = probe.run({ attack, guarded: false });
    finite += (with_.finite ? 1 : 0) + (without.finite ? 1 : 0);
    say(`  ${attack}: ${with_.published} published, ${with_.refusals} refused or held`);
    figures[`aucLost${named(attack)}`] = figure(clean.auc - with_.auc, "auc");
    figures[`aucLost${named(attack)}Unguarded`] = figure(clean.auc - without.auc, "auc");
  }
  figures.finiteShare = figure(finite / (1 + 2 * attacks.length), "of runs");
  return figures;
}

function honestFigures({ smoke, options, seed }: BenchContext): Record<string, Figure> {
  const samples = smoke ? 6_000 : options.number("samples");
  const probe = new Probe({ samples, probes: 2_000, seed });
  const figures: Record<string, Figure> = {};
  for (const hours of listOf(options.text("hours"))) {
    const { published, refusals } = probe.run({ attack: null, guarded: true, hours });
    figures[`honestPublishedHours${hours}`] = figure(published, "versions");
    figures[`honestRefusedHours${hours}`] = figure(refusals, "versions");
  }
  return figures;
}

function creepingFigures(context: BenchContext): Record<string, Figure> {
  const { smoke, options, seed, say } = context;
  const samples = smoke ? 24_000 : options.number("samples");
  const probe = new Probe({ samples, probes: smoke ? 2_000 : 20_000, seed });
  const figures: Record<string, Figure> = {};
  for (const hours of listOf(smoke ? "8" : options.text("creeping-hours"))) {
    const clean = probe.run({ attack: null, guarded: true, hours });
    const slow = probe.run({ attack: "slow", guarded: true, hours });
    say(`  over ${hours} h: ${slow.published} published, ${slow.refusals} refused or held`);
    figures[`aucLostSlowHours${hours}`] = figure(clean.auc - slow.auc, "auc");
  }
  return figures;
}

function virtualSizes({ smoke, options }: BenchContext): VirtualSizes {
  const small = { users: 100, items: 300, slatesPerSecond: 2 };
  return {
    ...{ users: options.number("users"), items: options.number("items") },
    slatesPerSecond: options.number("rate"),
    warmUpMinutes: options.number("warm-up"),
    attackMinutes: options.number("minutes"),
    slowMinutes: options.number("slow-minutes"),
    ...(smoke ? { ...small, warmUpMinutes: 2, attackMinutes: 2, slowMinutes: 2 } : {}),
  };
}

async function virtualFigures(
  context: BenchContext,
  attacks: readonly AttackName[],
): Promise<Record<string, Figure>> {
  const { smoke, options, seed: first, say } = context;
  const sizes = virtualSizes(context);
  const seeds = smoke ? 1 : options.number("seeds");
  const figures: Record<string, Figure> = {};
  const cleanRates = new Map<string, number>();
  for (const attack of attacks) {
    const minutes = attack === "slow" ? sizes.slowMinutes : sizes.attackMinutes;
    const guarded: number[] = [];
    const unguarded: number[] = [];
    for (let seed = first; seed < first + seeds; seed++) {
      const run = { seed, minutes, guarded: true };
      const known = `${seed} ${minutes}`;
      const rateOf = async (name: string, arm: VirtualRun) => {
        const rate = await clickRateUnder(sizes, arm);
        say(`  seed ${seed}, ${name}: ${(100 * rate).toFixed(2)} %`);
        return rate;
      };
      const clean = cleanRates.get(known) ?? (await rateOf("clean", { ...run, attack: null }));
      cleanRates.set(known, clean);
      const with_ = await rateOf(attack, { ...run, attack });
      const without = await rateOf(`${attack}, bare`, { ...run, attack, guarded: false });
      guarded.push(with_ / clean - 1);
      unguarded.push(without / clean - 1);
    }
    figures[`clickRateChange${named(attack)}`] = overSeeds(guarded, "of clean");
    figures[`clickRateChange${named(attack)}Unguarded`] = overSeeds(unguarded, "of clean");
  }
  const clean = [...cleanRates.values()];
  if (clean.length > 0) figures.clickRateClean = overSeeds(clean, "share");
  return figures;
}

export const bench: Bench = {
  name: "poison",
  about:
    "Bad samples with the guard and without: AUC of a clean probe, click rate in virtual time.",
  options: {
    parts: { kind: "text", help: "those to run", default: allParts.join(",") },
    attacks: { kind: "text", help: "those to run", default: attackNames.join(",") },
    samples: { kind: "number", help: "clean samples of the drawn stream", default: 60_000 },
    hours: { kind: "text", help: "that the honest stream is spread over", default: "2,10" },
    "creeping-hours": { kind: "text", help: "the same of the creeping attack", default: "8,48" },
    seeds: { kind: "number", help: "worlds", default: 3, min: 1 },
    users: { kind: "number", help: "users of each", default: 500, min: 10 },
    items: { kind: "number", help: "items of each", default: 1_000, min: 50 },
    rate: { kind: "number", help: "slates per simulated second", default: 10, min: 0.1 },
    "warm-up": { kind: "number", help: "minutes before the attack", default: 10, min: 1 },
    minutes: { kind: "number", help: "minutes of an attack", default: 8, min: 1 },
    "slow-minutes": { kind: "number", help: "of the slow one", default: 60, min: 1 },
  },
  async run(context) {
    const parts = context.options.names("parts", allParts);
    const attacks = context.options.names("attacks", attackNames);
    return {
      ...(parts.includes("probe") ? probeFigures(context, attacks) : {}),
      ...(parts.includes("honest") ? honestFigures(context) : {}),
      ...(parts.includes("creeping") ? creepingFigures(context) : {}),
      ...(parts.includes("virtual") ? await virtualFigures(context, attacks) : {}),
    };
  },
};

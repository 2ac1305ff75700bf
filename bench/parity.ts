import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RankerShape } from "../models/ranking/ranker.ts";
import { feedShape } from "../models/training/testing/feed-world.ts";
import {
  compareAnswers,
  drawTask,
  ourAnswer,
  type ParityFault,
  type ParityTask,
} from "../models/training/testing/parity.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { torchAnswer } from "./peers/torch-models.ts";
import { median } from "./statistics.ts";

/** Small, so that what the tests keep of the peer's answers is small. */
const small: RankerShape = {
  ...feedShape,
  experts: 2,
  expertLayers: [5, 4],
  towerLayers: [3],
};
const ple = { model: "ple", experts: 1, headExperts: 1, levels: 2 } as const;
const esmmHeads = feedShape.heads.filter(({ name }) => name === "ctr" || name === "cvr");

interface Contest {
  readonly shape: RankerShape;
  readonly lossWeights: ParityTask["lossWeights"];
}

/** The models that are compared; the tests' ones are of the same kinds. */
function contests(base: RankerShape): Readonly<Record<string, Contest>> {
  const lossWeights = "uncertainty";
  return {
    mmoe: { shape: base, lossWeights },
    ple: { shape: { ...base, ...ple }, lossWeights },
    esmm: { shape: { ...base, heads: esmmHeads }, lossWeights },
    "shared-bottom": {
      shape: { ...base, model: "shared-bottom", experts: 1, skip: false },
      lossWeights: [1, 0.5, 2, 0.3],
    },
  };
}

const wide: RankerShape = { ...feedShape, experts: 4, expertLayers: [64, 32], towerLayers: [16] };

function upperAfterDash(name: string): string {
  return name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** Curves of losses further apart than this have parted: rounding alone keeps them within 1e-5. */
const partedFrom = 1e-4;

/** Differences of one draw: ours, and PyTorch's in our precision, both from PyTorch in double. */
interface Draw {
  readonly ours: ParityFault;
  readonly single: ParityFault;
}

async function draw(python: string, task: ParityTask): Promise<Draw> {
  const theirs = await torchAnswer(python, { ...task, precision: "double" });
  const single = await torchAnswer(python, { ...task, precision: "single" });
  return { ours: compareAnswers(ourAnswer(task), theirs), single: compareAnswers(single, theirs) };
}

function figuresOf(model: string, draws: readonly Draw[]): Record<string, Figure> {
  const found: Record<string, Figure> = {};
  const set = (what: string, value: number, unit: string) => {
    found[upperAfterDash(`${model}-${what}`)] = { value, unit };
  };
  const largest = (of: (draw: Draw) => number) => Math.max(...draws.map(of));
  set(
    "logits-apart",
    largest(({ ours }) => ours.logits),
    "",
  );
  set(
    "gradients-apart",
    largest(({ ours }) => ours.gradients),
    "of the largest",
  );
  for (const [suffix, of] of [
    ["", ({ ours }: Draw) => ours],
    ["-torch-single", ({ single }: Draw) => single],
  ] as const) {
    const losses = draws.map((draw) => of(draw).losses);
    set(`losses-apart${suffix}`, median(losses), "relative");
    set(`losses-apart-most${suffix}`, Math.max(...losses), "relative");
    set(`parted${suffix}`, losses.filter((apart) => apart > partedFrom).length, "draws");
    set(`after-apart${suffix}`, median(draws.map((draw) => of(draw).after)), "of the largest");
  }
  return found;
}

async function measure(
  python: string,
  context: BenchContext,
  found: Record<string, Figure>,
): Promise<void> {
  const { smoke, options, seed, say } = context;
  const [batch, steps, count] = smoke
    ? [8, 3, 1]
    : [64, options.number("steps"), options.number("draws")];
  for (const [name, contest] of Object.entries(contests(smoke ? small : wide))) {
    const draws: Draw[] = [];
    for (let i = 0; i < count; i++) {
      const task = drawTask({ ...contest, batch, steps, seed: seed + i });
      const { ours, single } = await draw(python, task);
      draws.push({ ours, single });
      say(`${name}, seed ${seed + i}: losses apart ${ours.losses}, PyTorch's own ${single.losses}`);
    }
    Object.assign(found, figuresOf(name, draws));
  }
}

/** The peer's answers to small tasks, as the tests keep them. */
async function writeGolden(python: string, folder: string, seed: number): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const [name, contest] of Object.entries(contests(small))) {
    const task = drawTask({ ...contest, batch: 8, steps: 3, seed });
    const answer = await torchAnswer(python, { ...task, precision: "double" });
    const text = JSON.stringify({ task, answer: { ...answer, after: {} } });
    writeFileSync(join(folder, `${name}.golden`), `${text}\n`);
  }
}

async function run(context: BenchContext): Promise<Record<string, Figure>> {
  const figures: Record<string, Figure> = {};
  const python = process.env.PEER_PYTHON ?? "";
  if (python === "") {
    context.say("nothing is compared: PEER_PYTHON names no interpreter that has torch");
    return figures;
  }
  await measure(python, context, figures);
  const folder = context.options.text("golden");
  if (folder !== undefined) await writeGolden(python, folder, context.seed);
  return figures;
}

export const bench: Bench = {
  name: "parity",
  about: `Rankers and their training beside the same in PyTorch, written from the papers, in double
precision: logits, gradients, and the losses of many steps of Adam with row-wise Adagrad.`,
  options: {
    draws: { kind: "number", help: "tasks of each model", default: 10, min: 1, max: 1_000 },
    steps: { kind: "number", help: "steps of training", default: 200, min: 1, max: 10_000 },
    golden: { kind: "text", help: "also write the answers that the tests compare with, here" },
  },
  run,
};

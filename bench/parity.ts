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

async function measure(
  python: string,
  context: BenchContext,
  found: Record<string, Figure>,
): Promise<void> {
  const [batch, steps] = context.smoke ? [8, 3] : [64, context.options.number("steps")];
  const faults: (keyof ParityFault)[] = ["logits", "gradients", "losses", "after"];
  const units = ["", "of the largest", "relative", "of the largest"];
  for (const [name, contest] of Object.entries(contests(context.smoke ? small : wide))) {
    const task = drawTask({ ...contest, batch, steps, seed: context.seed });
    const theirs = await torchAnswer(python, { ...task, precision: "double" });
    const single = await torchAnswer(python, { ...task, precision: "single" });
    const fault = compareAnswers(ourAnswer(task), theirs);
    for (const [i, key] of faults.entries()) {
      found[upperAfterDash(`${name}-${key}-apart`)] = { value: fault[key], unit: units[i] ?? "" };
    }
    // How far PyTorch in our precision is from itself.
    const control = compareAnswers(single, theirs).losses;
    found[`${upperAfterDash(name)}LossesApartTorchSingle`] = { value: control, unit: "relative" };
    const last = theirs.losses.at(-1) ?? Number.NaN;
    context.say(`${name}: PyTorch ${theirs.torch}, loss ${theirs.losses[0]} to ${last}`);
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
    steps: { kind: "number", help: "steps of training", default: 200, min: 1, max: 10_000 },
    golden: { kind: "text", help: "also write the answers that the tests compare with, here" },
  },
  run,
};

import { RecError } from "../core/errors.ts";
import type {
  IdLearningDefinition,
  LearningDefinition,
  RecommenderDefinition,
} from "../definition/define.ts";
import { idTableOf, lossWeightsOf } from "../ranking/definition-shape.ts";
import { type EmbeddingOptions, seenMax } from "./embedding-updates.ts";
import { constantSchedule } from "./schedule.ts";
import { type TrainerOptions, trainerDefaults } from "./trainer.ts";

const dayMs = 24 * 3_600_000;

interface Range {
  readonly low: number;
  readonly high: number;
}

/** Refuses what lies outside, naming its place in the definition. */
function within(path: string, value: number, { low, high }: Range): number {
  if (value >= low && value <= high) return value;
  const fix = `a number from ${low} to ${high}`;
  throw new RecError("REC_CONFIG_DEFINITION", `${path} is ${value}`, { path, fix });
}

/** How a definition wants to learn, as a trainer takes it. Throws REC_CONFIG_DEFINITION. */
export function learningOf(
  definition: RecommenderDefinition,
): Pick<
  TrainerOptions,
  "lossWeights" | "optimizer" | "schedule" | "userEmbedding" | "itemEmbedding"
> {
  const { heads, ranking, learning = {} } = definition;
  const { optimizer, userEmbedding, itemEmbedding } = trainerDefaults;
  const { rate = optimizer.learningRate } = learning;
  return {
    lossWeights: lossWeightsOf(heads, ranking.lossWeights),
    optimizer: {
      ...optimizer,
      learningRate: within("learning.rate", rate, { low: 1e-6, high: 1 }),
    },
    schedule: scheduleOf(learning),
    userEmbedding: idsOf("userIds", definition, userEmbedding),
    itemEmbedding: idsOf("itemIds", definition, itemEmbedding),
  };
}

function scheduleOf({ halfLifeSamples, floor = 0.1 }: LearningDefinition) {
  const share = within("learning.floor", floor, { low: 1e-6, high: 1 });
  if (halfLifeSamples === undefined) return constantSchedule;
  const samples = { low: 1, high: Number.MAX_SAFE_INTEGER };
  within("learning.halfLifeSamples", halfLifeSamples, samples);
  return { ...constantSchedule, halfLifeSamples, floor: share };
}

function idsOf(
  name: "userIds" | "itemIds",
  definition: RecommenderDefinition,
  defaults: EmbeddingOptions,
): EmbeddingOptions {
  const path = `learning.${name}`;
  const ids: IdLearningDefinition = definition.learning?.[name] ?? {};
  // Rows that many ids share are met often, whatever the ids.
  const admitted = idTableOf(definition, name).kind === "hashed" ? 0 : defaults.admission;
  const { admission = admitted, decay = defaults.decay } = ids;
  const { rate = defaults.learningRate, expiryDays = defaults.expiryMs / dayMs } = ids;
  return {
    ...defaults,
    learningRate: within(`${path}.rate`, rate, { low: 1e-6, high: 1 }),
    admission: within(`${path}.admission`, admission, { low: 0, high: seenMax }),
    decay: within(`${path}.decay`, decay, { low: 0, high: 1 }),
    expiryMs: dayMs * within(`${path}.expiryDays`, expiryDays, { low: 1 / 24, high: 36_500 }),
  };
}

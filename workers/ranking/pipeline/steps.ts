import { assert } from "../../../models/core/assert.ts";
import type { Outcome, PipelineContext, Role, Stage } from "./stages.ts";
import { roles } from "./stages.ts";

/** A component as the executor sees it: whatever its role, something to start. */
export interface Step<C> {
  readonly name: string;
  readonly essential: boolean;
  /** Number of the source, -1 for every other role. */
  readonly source: number;
  /** When its promise is waited for; null: with its own stage. */
  readonly joins: Role | null;
  applies(context: C): boolean;
  start(context: C): Outcome | number | Promise<number>;
  /** What being left out means; filters that fail closed remove everything. */
  abandon(context: C): void;
}

export interface CompiledStage<C> {
  readonly role: Role;
  readonly name: string;
  readonly steps: readonly Step<C>[];
}

export interface CompiledPipeline<C> {
  readonly stages: readonly CompiledStage<C>[];
  readonly sources: readonly string[];
  /** Name `filter:reason` of each reason code; code 0 is "kept". */
  readonly reasons: readonly string[];
}

interface Numbering {
  readonly sources: string[];
  readonly reasons: string[];
}

type StageOf<C, R extends Role> = Extract<Stage<C>, { role: R }>;
type ComponentOf<C, R extends Role> = StageOf<C, R>["components"][number];

const always = () => true;
const nothing = () => {};

function step<C>(
  component: { name: string; essential?: boolean; applies?(context: C): boolean },
  start: Step<C>["start"],
  defaults: Partial<Step<C>> = {},
): Step<C> {
  return {
    name: component.name,
    essential: component.essential ?? defaults.essential ?? false,
    source: defaults.source ?? -1,
    joins: defaults.joins ?? null,
    applies: component.applies === undefined ? always : (context) => component.applies!(context),
    start,
    abandon: defaults.abandon ?? nothing,
  };
}

function sourceStep<C extends PipelineContext>(
  component: ComponentOf<C, "source">,
  numbering: Numbering,
): Step<C> {
  const source = numbering.sources.push(component.name) - 1;
  const start = (context: C) => component.retrieve(context, context.candidates.columnsOf(source));
  return step(component, start, { source });
}

function filterStep<C extends PipelineContext>(
  component: ComponentOf<C, "filter">,
  numbering: Numbering,
): Step<C> {
  const base = numbering.reasons.length;
  numbering.reasons.push(...component.reasons.map((reason) => `${component.name}:${reason}`));
  const failed = numbering.reasons.push(`${component.name}:failed`) - 1;
  assert(failed < 256, "reason codes fit in a byte");
  const abandon = ({ candidates }: C) => {
    if (!component.failsClosed) return;
    for (let i = 0; i < candidates.count; i++) candidates.reasons[i] ||= failed;
  };
  const start = (context: C) => component.filter(context, context.candidates.reasons, base);
  return step(component, start, { essential: true, abandon });
}

function stepsOf<C extends PipelineContext>(stage: Stage<C>, numbering: Numbering): Step<C>[] {
  switch (stage.role) {
    case "queryHydrator":
      return stage.components.map((one) => step(one, (context) => one.hydrate(context)));
    case "source":
      return stage.components.map((one) => sourceStep(one, numbering));
    case "hydrator":
      return stage.components.map((one) =>
        step(one, (context) => one.hydrate(context), { joins: one.joins ?? null }),
      );
    case "filter":
      return stage.components.map((one) => filterStep(one, numbering));
    case "scorer":
      return stage.components.map((one) => step(one, (context) => one.score(context)));
    case "selector":
      return stage.components.map((one) =>
        step(one, (context) => one.select(context), { essential: true }),
      );
    case "sideEffect":
      return stage.components.map((one) => step(one, (context) => one.perform(context)));
  }
}

/** Roles appear in their order; hydrators, filters and scorers may take turns. */
function checkOrder<C>(stages: readonly Stage<C>[]): void {
  const middle: readonly Role[] = ["hydrator", "filter", "scorer"];
  const rank = (role: Role) => (middle.includes(role) ? 2 : roles.indexOf(role));
  stages.forEach((stage, i) => {
    const before = stages[i - 1];
    const inOrder = before === undefined || rank(before.role) <= rank(stage.role);
    assert(inOrder, `stage ${stage.name} (${stage.role}) stands too late in the pipeline`);
  });
}

export function compileStages<C extends PipelineContext>(
  stages: readonly Stage<C>[],
): CompiledPipeline<C> {
  checkOrder(stages);
  const numbering: Numbering = { sources: [], reasons: ["kept"] };
  const compiled = stages.map((stage) => ({
    role: stage.role,
    name: stage.name,
    steps: stepsOf(stage, numbering),
  }));
  return { stages: compiled, ...numbering };
}

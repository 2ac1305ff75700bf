import { RecError } from "../../models/core/errors.ts";
import { reportHeads } from "../../models/evaluation/head-report.ts";
import { loadDefinition } from "../../workers/load-definition.ts";
import { judgedModel } from "../history/model-run.ts";
import {
  historyParts,
  modelOf,
  modelSpecs,
  rankingNotes,
  rankingSpecs,
  trainOptionsOf,
} from "../history/ranking-options.ts";
import { rankingData } from "../history/ranking-run.ts";
import { rankingFigures, rankingTable } from "../history/ranking-table.ts";
import { type History, readHistory } from "../history/read-history.ts";
import { syntheticHistory } from "../history/synthetic-history.ts";
import { helpText, type OptionSpec, type ParsedOptions, parseOptions } from "./options.ts";
import { commitLine, machineLine } from "./provenance.ts";

const specs: Readonly<Record<string, OptionSpec>> = {
  ...rankingSpecs,
  ...modelSpecs,
  smoke: { kind: "flag", help: "a made-up history of a few seconds, no files needed" },
  help: { kind: "flag", help: "this text" },
};

export interface EvaluateHooks {
  readonly write?: (text: string) => void;
}

/** `evaluate ranking`: trains on the past and says how good each head is on what came after. */
export async function run(args: readonly string[], hooks: EvaluateHooks = {}): Promise<number> {
  const write = hooks.write ?? ((text: string) => void process.stdout.write(text));
  const options = parseOptions(args, specs);
  if (options.flag("help")) {
    write(helpText("evaluate ranking [options]", specs, rankingNotes));
    return 0;
  }
  if (options.rest.join(" ") !== "ranking") {
    throw new RecError("REC_COMMAND_OPTION", "what is to be evaluated?", {
      fix: "evaluate ranking",
    });
  }
  const say = options.flag("json") ? () => {} : write;
  const definition = await loadDefinition(
    options.text("definition") ?? (process.env.REC_DEFINITION || null),
  );
  const startMs = performance.now();
  const history = await historyOf(options, definition);
  const data = rankingData(history, { definition });
  try {
    if (data.test.length === 0) {
      const fix = "--train-until DATE, or --test PATH";
      throw new RecError("REC_COMMAND_OPTION", "no row is left to judge on", { fix });
    }
    const heads = judgedModel(data, {
      ...{ ...trainOptionsOf(options), ...modelOf(options), definition },
    });
    const seed = options.number("seed");
    const draws = options.flag("smoke") ? 20 : options.number("draws");
    const reports = reportHeads(heads, { draws, seed });
    const rows = data.train.reduce((sum, tie) => sum + tie.length, 0);
    const seconds = (performance.now() - startMs) / 1_000;
    say(`trained on ${rows} rows, judged on ${data.test.length}, ${seconds.toFixed(1)} s\n`);
    say(rankingTable(reports));
    if (options.flag("json")) {
      const source = { commit: commitLine(), machine: machineLine() };
      const figures = rankingFigures(reports);
      write(`${JSON.stringify({ bench: "evaluate ranking", ...source, figures })}\n`);
    }
  } finally {
    data.replay.close();
  }
  return 0;
}

async function historyOf(
  options: ParsedOptions,
  definition: Awaited<ReturnType<typeof loadDefinition>>,
): Promise<History> {
  if (options.flag("smoke") && options.text("data") === undefined) {
    return syntheticHistory(definition, options.number("seed"));
  }
  return await readHistory({
    ...{ ...historyParts(options, definition), definition, nowMs: Date.now() },
  });
}

import type { HeadMetrics } from "../../models/training/progressive.ts";
import { serveRole } from "../role-thread.ts";
import { openSamples } from "./interleaved-samples.ts";
import { makeTrainerRole } from "./make.ts";
import { restTrainer, runTrainer } from "./worker.ts";

serveRole(async (context) => {
  const { init, state, log, definition, warn } = context;
  const { dataDir, publishEvery, seed, trains } = init;
  const role = await makeTrainerRole({
    ...{ definition, state, dataDir, publishEvery, seed, warn, trains },
    log: await openSamples(log),
  });
  context.onCommand = (command) => role.command(command);
  context.post({ kind: "ready" });
  const tell = (heads: readonly HeadMetrics[]) => context.post({ kind: "progressive", heads });
  await (trains ? runTrainer(role, context.stop, tell) : restTrainer(context.stop));
});

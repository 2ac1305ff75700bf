import { serveRole } from "../role-thread.ts";
import { makeTrainerRole } from "./make.ts";
import { runTrainer } from "./worker.ts";

serveRole(async (context) => {
  const { init, state, log, definition, warn } = context;
  const { dataDir, publishEvery, seed } = init;
  const role = await makeTrainerRole({
    ...{ definition, state, log, dataDir, publishEvery, seed, warn },
  });
  context.onCommand = (command) => role.command(command);
  context.post({ kind: "ready" });
  await runTrainer(role, context.stop);
});

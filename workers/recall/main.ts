import { join } from "node:path";
import { definitionHash } from "../../models/definition/hash.ts";
import { InteractionWeights } from "../../models/recall/interaction-weights.ts";
import { GraphIndex, graphMaker } from "../../native/index.ts";
import { serveRole } from "../role-thread.ts";
import { SnapshotCheckpoints } from "../stores/embedded/snapshot-checkpoints.ts";
import { realFileSystem } from "../stores/file-system.ts";
import { systemClock, threadProcessorMs } from "../system-clock.ts";
import { sharedItemCatalog } from "./item-catalog.ts";
import { RecallRole, runRecall } from "./worker.ts";

/** Entry of the recall thread. Ready at once: without a generation the other routes serve. */
serveRole(async ({ state, log, definition, init, stop, post, warn }) => {
  // There is one recall thread: what a former one left behind is nobody's any more.
  GraphIndex.clearHolder(graphMaker);
  const checkpoints = new SnapshotCheckpoints({
    files: realFileSystem(),
    directory: join(init.dataDir, "checkpoints", "recall"),
    definitionHash: definitionHash(definition),
    clock: systemClock,
    report: warn,
  });
  const role = await RecallRole.open({
    log,
    checkpoints,
    warn,
    clock: systemClock,
    weights: new InteractionWeights(definition.interactions),
    core: {
      ...{ items: sharedItemCatalog(state), seed: init.seed },
      ...{ rebuildShare: init.rebuildShare, periodMs: init.rebuildEveryMs },
      processorMs: threadProcessorMs,
    },
    publish: (generation) => post({ kind: "generation", generation }),
    metrics: state.metrics,
  });
  post({ kind: "ready" });
  await runRecall(role, stop);
});

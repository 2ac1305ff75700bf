import { utf8 } from "../../models/core/bytes.ts";
import { Random } from "../../models/core/random.ts";
import { GenerationHolder } from "../../models/recall/generation.ts";
import { setThreadName } from "../../native/index.ts";
import { keepHeap } from "../heap-keeper.ts";
import { loadDefinition } from "../load-definition.ts";
import { attachSharedState } from "../shared-state.ts";
import { openDocumentStore, openEventLog } from "../stores/open.ts";
import { systemClock } from "../system-clock.ts";
import { armTestFaults } from "../test-faults.ts";
import { answerFirst } from "../thread-priority.ts";
import { createRankingEngine } from "./build.ts";
import type { Answer, BootMessage } from "./messages.ts";
import { openRanker } from "./open-ranker.ts";
import { type CallHandler, serveCalls } from "./thread.ts";
import { warmUp } from "./warm-up.ts";
import type { RankingWork } from "./work.ts";

/** A ranking thread: constructs what it uses and serves requests until it is told to stop. */

function bytesOf(answer: Answer): Uint8Array {
  return utf8(JSON.stringify(answer));
}

async function build(boot: BootMessage<RankingWork>): Promise<CallHandler> {
  const { work, readerBase, readers, worker } = boot;
  setThreadName(`ranking-${worker}`);
  answerFirst();
  const { dataDir, topics, control, durability, eventLogUrl } = work;
  const definition = await loadDefinition(work.definitionPath);
  const state = attachSharedState(work.handles);
  const retention = work.logRetention;
  const log = openEventLog(eventLogUrl, { dataDir, topics, control, durability, retention });
  const documents = openDocumentStore({ dataDir, readOnly: true });
  const generations = new GenerationHolder(readerBase);
  const options = {
    ...{ definition, state, generations, log, servedWriter: worker, documents },
    ranker: await openRanker(work.engine, definition),
    detailsPrefetch: work.detailsPrefetch,
    clock: systemClock,
    random: new Random(work.seed + worker),
    readers: Array.from({ length: readers }, (_, i) => readerBase + i),
  };
  await warmUp(options);
  keepHeap((bytes) => state.metrics.set('rec_heap_bytes{thread="ranking"}', bytes));
  armTestFaults(`ranking-${worker}`);
  const engine = createRankingEngine(options);
  return {
    answer(call, deadlineAtMs) {
      const answer = engine.answerNow(call, deadlineAtMs);
      return answer instanceof Promise ? answer.then(bytesOf) : bytesOf(answer);
    },
    generation: ({ generation }) => generations.adopt(generation),
    documentsChanged: (rows) => engine.documentsChanged(rows),
    async close() {
      await log.close();
      documents.close();
    },
    metrics: state.metrics,
    clock: systemClock,
    parallel: readers,
  };
}

serveCalls(build);

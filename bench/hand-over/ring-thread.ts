import { noMetrics } from "../../workers/ranking/state.ts";
import { serveCalls } from "../../workers/ranking/thread.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { answerCall } from "./work.ts";

/** The product's own hand-over, with the measured work in the pipeline's place. */
serveCalls<null>(async ({ readers }) => ({
  answer: answerCall,
  generation() {},
  documentsChanged() {},
  close: async () => {},
  metrics: noMetrics,
  clock: systemClock,
  parallel: readers,
}));

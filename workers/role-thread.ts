import type { RecommenderDefinition } from "../models/definition/define.ts";
import { setThreadName } from "../native/index.ts";
import { keepHeap } from "./heap-keeper.ts";
import { loadDefinition } from "./load-definition.ts";
import { StopSignal } from "./loop.ts";
import {
  type FromRole,
  type RoleCommand,
  type RoleInit,
  type ToRole,
  threadName,
} from "./role-messages.ts";
import { attachSharedState, type SharedState } from "./shared-state.ts";
import type { TailedLog } from "./stores/event-log.ts";
import { openEventLog } from "./stores/open.ts";
import { armTestFaults } from "./test-faults.ts";
import { giveWay } from "./thread-priority.ts";

/** What a background role's entry file works with. */
export interface RoleContext {
  readonly init: RoleInit;
  readonly definition: RecommenderDefinition;
  readonly state: SharedState;
  readonly log: TailedLog;
  readonly stop: StopSignal;
  post(message: FromRole): void;
  warn(text: string): void;
  /** Set by a role that takes commands; answers JSON text. */
  onCommand: ((command: RoleCommand) => Promise<string>) | null;
}

declare const self: Worker;

/**
 * The entry of a role's thread: opens what the first message describes, runs the role until the
 * stop message, closes the log. Anything thrown ends the thread; the supervisor starts another.
 */
export function serveRole(run: (context: RoleContext) => Promise<void>): void {
  const stop = new StopSignal();
  let context: RoleContext | null = null;
  self.onmessage = (event: MessageEvent<ToRole>) => {
    const message = event.data;
    if (message.kind === "stop") stop.stop();
    else if (message.kind === "command") void answer(context, message.id, message.command);
    else {
      const done = start(message.init, stop).then(async (opened) => {
        context = opened;
        await run(opened);
        await opened.log.close();
        opened.post({ kind: "stopped" });
      });
      done.catch(fail);
    }
  };
}

/** A rejected promise would only be printed: thrown from a task it ends the thread. */
function fail(error: unknown): void {
  setTimeout(() => {
    throw error;
  });
}

async function start(init: RoleInit, stop: StopSignal): Promise<RoleContext> {
  setThreadName(threadName(init));
  armTestFaults(threadName(init));
  const definition = await loadDefinition(init.definitionPath);
  const { dataDir, topics, control, durability } = init;
  const post = (message: FromRole) => {
    // Before it is ready nobody can be served, and taking in what is stored comes first.
    if (message.kind === "ready") giveWay(init.role);
    self.postMessage(message);
  };
  const warn = (text: string) => post({ kind: "log", level: "warn", text });
  const state = attachSharedState(init.handles);
  keepHeap((bytes) => state.metrics.set(`rec_heap_bytes{thread="${init.role}"}`, bytes));
  return {
    ...{ init, definition, state },
    log: openEventLog(init.eventLogUrl, {
      ...{ dataDir, topics, control, durability, report: warn },
      retention: init.logRetention,
    }),
    stop,
    post,
    warn,
    onCommand: null,
  };
}

async function answer(
  context: RoleContext | null,
  id: number,
  command: RoleCommand,
): Promise<void> {
  try {
    if (!context?.onCommand) throw new Error("the role takes no commands yet");
    context.post({ kind: "answer", id, json: await context.onCommand(command) });
  } catch (error) {
    const code =
      error instanceof Error && "code" in error ? String(error.code) : "REC_ROLE_COMMAND";
    const text = error instanceof Error ? error.message : String(error);
    self.postMessage({ kind: "refused", id, code, text } satisfies FromRole);
  }
}

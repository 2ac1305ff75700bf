import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { getPriority } from "node:os";
import { lowerEngineThreads } from "./thread-priority.ts";

const linux = process.platform === "linux";

/** Nice values of this process's threads of a name. */
function niceOf(name: string): number[] {
  const tasks = readdirSync("/proc/self/task");
  const named = tasks.filter((task) =>
    readFileSync(`/proc/self/task/${task}/comm`, "utf8").startsWith(name),
  );
  return named.map((task) => getPriority(Number(task)));
}

test.if(linux)("threads that compile yield, those that answer do not", () => {
  const own = getPriority();
  const deadlineMs = performance.now() + 30_000;
  for (let sum = 0; niceOf("JITWorker").length === 0 && performance.now() < deadlineMs; ) {
    for (let i = 0; i < 1e6; i++) sum = (sum + i * i) % 1_000_003;
  }
  lowerEngineThreads();
  const compilers = niceOf("JITWorker");
  expect(compilers.length).toBeGreaterThan(0);
  expect(compilers.every((nice) => nice >= 10)).toBe(true);
  expect(getPriority()).toBe(own);
});

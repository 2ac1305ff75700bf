import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

/** How often an armed thread looks for its order. */
const lookEveryMs = 5;

/**
 * Lets a test of failures break this thread from outside: with REC_TEST_FAULTS=<folder> set, a file
 * `<folder>/<name>` that says `throw`, `hang` or `exit` is taken away and obeyed. Nothing that
 * comes over the network can reach it, and without the variable nothing looks.
 */
export function armTestFaults(name: string): void {
  const folder = process.env.REC_TEST_FAULTS ?? "";
  if (folder === "") return;
  const path = join(folder, name);
  const timer = setInterval(() => {
    if (!existsSync(path)) return;
    const fault = readFileSync(path, "utf8");
    rmSync(path);
    obey(fault, name);
  }, lookEveryMs);
  timer.unref();
}

function obey(fault: string, name: string): void {
  if (fault === "exit") process.exit(1);
  while (fault === "hang");
  throw new Error(`${name} was told to throw`);
}

import { spawnSync } from "node:child_process";
import { cpus, totalmem } from "node:os";

/** Processor, cores and memory, in a line. */
export function machineLine(): string {
  const [first, ...more] = cpus();
  const gibibytes = (totalmem() / 2 ** 30).toFixed(1);
  return `${first?.model.trim() ?? "unknown"}, ${more.length + 1} cores, ${gibibytes} GiB`;
}

/** The commit of this tree, with `+` where files differ from it; `unknown` outside git. */
export function commitLine(): string {
  const git = (...args: string[]) =>
    spawnSync("git", args, { cwd: import.meta.dir, encoding: "utf8" }).stdout?.trim() ?? "";
  const commit = git("rev-parse", "--short", "HEAD");
  if (commit === "") return "unknown";
  return git("status", "--porcelain", "--untracked-files=no") === "" ? commit : `${commit}+`;
}

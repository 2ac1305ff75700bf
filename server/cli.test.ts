import { expect, test } from "bun:test";
import { RecError } from "../models/core/errors.ts";
import { type Command, runCli } from "./cli.ts";

function program() {
  const loaded: string[] = [];
  const command = (name: string, run: (args: readonly string[]) => Promise<number>): Command => ({
    summary: `does ${name}`,
    load: async () => {
      loaded.push(name);
      return { run };
    },
  });
  const out: string[] = [];
  const errors: string[] = [];
  const commands = {
    count: command("count", async (args) => args.length),
    fail: command("fail", async () => {
      throw new RecError("REC_LOG_FAILED", "no space", { fix: "free some", cause: "ENOSPC" });
    }),
    misuse: command("misuse", async () => {
      throw new RecError("REC_CONFIG_VALUE", "PORT is x");
    }),
  };
  const io = {
    write: (text: string) => out.push(text),
    writeError: (text: string) => errors.push(text),
  };
  const run = (...args: string[]) => runCli(args, { commands, ...io });
  return { run, loaded, out, errors };
}

test("loads only the command that is asked for, with the rest of the arguments", async () => {
  const { run, loaded } = program();
  expect(await run("count", "--a", "b")).toBe(2);
  expect(loaded).toEqual(["count"]);
});

test("unknown and missing commands show the help and fail", async () => {
  for (const args of [["toString"], ["nothing"], []]) {
    const { run, loaded, errors, out } = program();
    expect(await run(...args)).toBe(2);
    expect(errors.join("")).toContain("does count");
    expect([loaded, out]).toEqual([[], []]);
  }
});

test("help is not an error", async () => {
  const { run, out } = program();
  expect(await run("--help")).toBe(0);
  expect(out.join("")).toContain("misuse  does misuse");
});

test("a failure tells what mends it", async () => {
  const { run, errors } = program();
  expect(await run("fail")).toBe(1);
  expect(errors.join("")).toBe(
    "REC_LOG_FAILED: no space\n  because: ENOSPC\n  to mend it: free some\n",
  );
  expect(await run("misuse")).toBe(2);
});

import { messageOf, RecError } from "../models/core/errors.ts";

/** One program with sub-commands; a command's module is loaded only when it is asked for. */

export interface Command {
  readonly summary: string;
  /** Its own arguments; `--help` among them prints its help. Resolves with the exit code. */
  load(): Promise<{ run(args: readonly string[]): Promise<number> }>;
}

export interface CliOptions {
  readonly commands: Readonly<Record<string, Command>>;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
}

/** Wrong usage, as shells know it. */
const usageExit = 2;

export function cliHelp(commands: Readonly<Record<string, Command>>): string {
  const names = Object.keys(commands);
  const width = Math.max(...names.map((name) => name.length));
  const lines = names.map((name) => `  ${name.padEnd(width)}  ${commands[name]?.summary}`);
  return [
    "recmaster <command> [options]",
    "",
    ...lines,
    "",
    "recmaster <command> --help says more. Settings come from the environment or as flags.",
    "",
  ].join("\n");
}

/** An operating error in words, with what mends it; anything else with its stack. */
export function errorText(thrown: unknown): string {
  if (!(thrown instanceof RecError)) {
    return thrown instanceof Error && thrown.stack !== undefined ? thrown.stack : messageOf(thrown);
  }
  const fix = thrown.fix === undefined ? "" : `\n  to mend it: ${thrown.fix}`;
  const cause = thrown.cause === undefined ? "" : `\n  because: ${messageOf(thrown.cause)}`;
  return `${thrown.code}: ${thrown.message}${cause}${fix}`;
}

/** Runs the command that `args` begins with; resolves with the exit code. */
export async function runCli(args: readonly string[], options: CliOptions): Promise<number> {
  const { commands, write, writeError } = options;
  const [name, ...rest] = args;
  if (name === "--help" || name === "help" || name === "-h") {
    write(cliHelp(commands));
    return 0;
  }
  if (name === undefined || !Object.hasOwn(commands, name)) {
    writeError(`${name === undefined ? "no command" : `unknown command "${name}"`}\n\n`);
    writeError(cliHelp(commands));
    return usageExit;
  }
  try {
    const loaded = await commands[name]?.load();
    return (await loaded?.run(rest)) ?? usageExit;
  } catch (thrown) {
    writeError(`${errorText(thrown)}\n`);
    const code = thrown instanceof RecError ? thrown.code : "";
    return code.startsWith("REC_CONFIG_") || code.startsWith("REC_COMMAND_") ? usageExit : 1;
  }
}

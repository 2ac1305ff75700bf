import { RecError } from "../../models/core/errors.ts";

/** One option of a command: `--name VALUE`, `--name=VALUE`, or `--name` alone for a flag. */
export type OptionSpec =
  | { readonly kind: "flag"; readonly help: string }
  | { readonly kind: "text"; readonly help: string; readonly default?: string }
  | {
      readonly kind: "number";
      readonly help: string;
      readonly default?: number;
      readonly min?: number;
      readonly max?: number;
    };

export interface ParsedOptions {
  /** Arguments that belong to no option, in order. */
  readonly rest: readonly string[];
  flag(name: string): boolean;
  /** Undefined where it was not given and has no default. */
  text(name: string): string | undefined;
  /** Known names from a list with commas; refuses others. */
  names<A extends string>(name: string, known: readonly A[]): A[];
  number(name: string): number;
  /** Undefined where it was not given and has no default. */
  optionalNumber(name: string): number | undefined;
}

function refuse(message: string, fix: string): never {
  throw new RecError("REC_COMMAND_OPTION", message, { fix });
}

/** Reads `--name value` arguments; throws REC_COMMAND_OPTION naming what is wrong and allowed. */
export function parseOptions(
  args: readonly string[],
  specs: Readonly<Record<string, OptionSpec>>,
): ParsedOptions {
  const given = new Map<string, string>();
  const rest: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (!argument.startsWith("--")) {
      rest.push(argument);
      continue;
    }
    const [name = "", inline] = splitOnce(argument.slice(2), "=");
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) refuse(`unknown option --${name}`, "see --help");
    if (spec.kind === "flag") given.set(name, inline ?? "true");
    else given.set(name, inline ?? args[++i] ?? refuse(`--${name} needs a value`, "see --help"));
  }
  for (const [name, spec] of Object.entries(specs)) checkNumber(name, spec, given.get(name));
  return reader(specs, given, rest);
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function checkNumber(name: string, spec: OptionSpec, text: string | undefined): void {
  if (spec.kind !== "number" || text === undefined) return;
  const value = Number(text);
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = spec;
  if (text.trim() !== "" && Number.isFinite(value) && value >= min && value <= max) return;
  refuse(`--${name} is ${text}`, `a number from ${min} to ${max}`);
}

function reader(
  specs: Readonly<Record<string, OptionSpec>>,
  given: ReadonlyMap<string, string>,
  rest: readonly string[],
): ParsedOptions {
  const fallback = (name: string) => {
    const spec = specs[name];
    return spec === undefined || spec.kind === "flag" ? undefined : spec.default;
  };
  const text = (name: string) => given.get(name) ?? fallback(name)?.toString();
  const optionalNumber = (name: string) => {
    const value = text(name);
    return value === undefined ? undefined : Number(value);
  };
  return {
    rest,
    flag: (name) => given.get(name) === "true",
    text,
    names: (name, known) => (text(name) ?? "").split(",").map((one) => knownName(name, one, known)),
    optionalNumber,
    number: (name) => optionalNumber(name) ?? refuse(`--${name} is missing`, "see --help"),
  };
}

function knownName<A extends string>(option: string, text: string, known: readonly A[]): A {
  const found = known.find((name) => name === text);
  return found ?? refuse(`--${option} has no ${text}`, `some of ${known.join(",")}`);
}

/** The `--help` text of a command. */
export function helpText(
  usage: string,
  specs: Readonly<Record<string, OptionSpec>>,
  notes = "",
): string {
  const lines = Object.entries(specs).map(([name, spec]) => {
    const shown = spec.kind === "flag" ? `--${name}` : `--${name} ${spec.kind.toUpperCase()}`;
    const fallback = spec.kind !== "flag" && spec.default !== undefined;
    return `  ${shown.padEnd(26)} ${spec.help}${fallback ? ` (default ${spec.default})` : ""}`;
  });
  return `${[`Usage: ${usage}`, "", ...lines].join("\n")}\n${notes === "" ? "" : `\n${notes}\n`}`;
}

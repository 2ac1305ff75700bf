import type { Clock } from "../models/core/clock.ts";

/** Structured logs: a JSON line each, or words for a person at a terminal. */

export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** For a person instead of for a collector. */
  readonly pretty: boolean;
  readonly clock: Clock;
  readonly write: (line: string) => void;
}

/** Values that JSON cannot hold must not lose the line. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return value instanceof Error ? `${value.name}: ${value.message}` : value;
}

function prettyFields(fields: LogFields): string {
  return Object.entries(fields)
    .map(([name, value]) => {
      const text = typeof value === "string" ? value : JSON.stringify(value, plain);
      return `  ${name}=${text}`;
    })
    .join("");
}

export function createLog(options: LogOptions): Log {
  const { pretty, clock, write } = options;
  const from = logLevels.indexOf(options.level);
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (logLevels.indexOf(level) < from) return;
      const time = new Date(clock.nowMs()).toISOString();
      const line = pretty
        ? `${time.slice(11, 23)} ${level.padEnd(5)} ${message}${prettyFields(fields)}`
        : JSON.stringify({ time, level, message, ...fields }, plain);
      write(`${line}\n`);
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

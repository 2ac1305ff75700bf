import { type LateReport, type LateSighting, readLate } from "../check/late.ts";
import { readFolder } from "./folder-log.ts";
import { helpText, type OptionSpec, parseOptions } from "./options.ts";

const specs: Readonly<Record<string, OptionSpec>> = {
  "data-dir": { kind: "text", help: "a data folder that no server uses (DATA_DIR)" },
  newest: { kind: "number", help: "records that are shown", default: 20, min: 0 },
  json: { kind: "flag", help: "the last line of output is one JSON object" },
  help: { kind: "flag", help: "this text" },
};

const notes = `Prints what came after panes had closed (topic late): how many events and slates
missed which window, where they came in, how far their time was behind the watermark, and the
newest. They count in every window that was still open, and in all totals.`;

type Write = (text: string) => void;

/** `check late`: what the windows could not count any more. Exit code 0: lateness is no fault. */
export async function run(args: readonly string[], write: Write): Promise<number> {
  const options = parseOptions(args, specs);
  if (options.flag("help")) {
    write(helpText("check late [options]", specs, notes));
    return 0;
  }
  const newestMax = options.number("newest");
  const topics = ["late", "events", "served"] as const;
  const report = await readFolder({ dataDir: options.text("data-dir"), topics }, (folder) =>
    readLate({ ...folder, newestMax }),
  );
  print(report, write);
  if (options.flag("json")) write(`${JSON.stringify(report)}\n`);
  return 0;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function print({ records, dropped, windows, sources, newest }: LateReport, write: Write): void {
  const gone = dropped > 0 ? `; ${dropped} older ones were dropped by LOG_RETENTION` : "";
  write(`${records} events and slates were late for some window${gone}\n`);
  for (const { source, records: count, behind } of sources) {
    const { msP50, msP90, msP99, msMax } = behind;
    const quantiles = [msP50, msP90, msP99].map(seconds).join(", ");
    write(
      `  ${source.padEnd(10)} ${`${count}`.padStart(10)} late; behind the watermark p50, p90, `,
    );
    write(`p99: ${quantiles}, at most ${seconds(msMax)}\n`);
  }
  for (const { window, scopes, records: missed } of windows) {
    const named = scopes.length > 0 ? scopes.join(", ") : "no scope";
    write(`  ${window.padEnd(10)} ${`${missed}`.padStart(10)} missed it; counted by ${named}\n`);
  }
  for (const sighting of newest) write(`  ${line(sighting)}\n`);
}

function line({ source, offset, timeMs, behindMs, missed, record }: LateSighting): string {
  const what = record?.what ?? "no longer in the log";
  const came = record === null ? "" : `, came ${new Date(record.receivedMs).toISOString()}`;
  const when = `of ${new Date(timeMs).toISOString()}${came}, ${seconds(behindMs)} behind`;
  return `${source} ${offset}: ${what}, ${when}; missed ${missed.join(", ")}`;
}

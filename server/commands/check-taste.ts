import { RecError } from "../../models/core/errors.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { startServer } from "../assembly/running.ts";
import { type AskItems, checkTaste, type TasteReport, type TitledItem } from "../check/taste.ts";
import { readConfig } from "../config.ts";
import { createLog } from "../log.ts";
import { helpText, type OptionSpec, parseOptions } from "./options.ts";

export const specs: Readonly<Record<string, OptionSpec>> = {
  "data-dir": { kind: "text", help: "a data folder that no server uses (DATA_DIR)" },
  n: { kind: "number", help: "items of a slate", default: 10, min: 1, max: 100 },
  shown: { kind: "number", help: "users and items that are printed", default: 10, min: 1 },
  users: { kind: "number", help: "users that the means are over", default: 200, min: 1 },
  seed: { kind: "number", help: "which users", default: 1, min: 0 },
  json: { kind: "flag", help: "the last line of output is one JSON object" },
  help: { kind: "flag", help: "this text" },
};

const notes = `Prints slates of users with a history, what they liked last, and items like known
ones, by title, and how much of a slate is of the user's three main categories, beside the same
share of the popular list. Serves the folder meanwhile; the slates are recorded as any other.`;

type Write = (text: string) => void;

const warnings = createLog({
  ...{ level: "warn", pretty: true, clock: systemClock },
  write: (line) => void process.stderr.write(line),
});

/** `check taste`: whether slates follow the users' categories, for a person who reads titles. */
export async function run(args: readonly string[], write: Write): Promise<number> {
  const options = parseOptions(args, specs);
  if (options.flag("help")) {
    write(helpText("check taste [options]", specs, notes));
    return 0;
  }
  const dataDir = options.text("data-dir");
  const flags = ["--port", "0", ...(dataDir === undefined ? [] : ["--data-dir", dataDir])];
  const config = readConfig({ environment: { ...process.env, HOST: "", API_TOKEN: "" }, flags });
  const server = await startServer(config, warnings);
  let code = 1;
  try {
    await server.ready(600_000);
    await indexBuilt(server.url);
    const report = await checkTaste({
      ...{ storage: server.storage, ask: asking(server.url), n: options.number("n") },
      shown: options.number("shown"),
      asked: options.number("users"),
      seed: options.number("seed"),
    });
    print(report, write);
    const { slateShare, popularShare, asked } = report;
    if (options.flag("json")) write(`${JSON.stringify({ slateShare, popularShare, asked })}\n`);
    code = slateShare > popularShare ? 0 : 1;
  } finally {
    await server.stop();
  }
  // As `start` does: threads may hold the process for a while.
  process.exit(code);
}

/** The parts of answers that are looked at. */
interface Answer {
  readonly items?: readonly { readonly id: string }[];
  readonly indexGeneration?: number;
}

function isAnswer(value: unknown): value is Answer {
  return typeof value === "object" && value !== null;
}

async function answerOf(url: string, init?: RequestInit): Promise<Answer> {
  const response = await fetch(url, init);
  const answer: unknown = await response.json();
  if (response.ok && isAnswer(answer)) return answer;
  throw new RecError("REC_CHECK_TASTE", `${url} answered ${response.status}`);
}

/** The first index generation of an imported history takes seconds. */
async function indexBuilt(url: string): Promise<void> {
  const untilMs = performance.now() + 120_000;
  while (performance.now() < untilMs) {
    const { indexGeneration = 0 } = await answerOf(`${url}/v1/status`);
    if (indexGeneration > 0) return;
    await Bun.sleep(200);
  }
}

function asking(url: string): AskItems {
  return async (path, body) => {
    const init = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    };
    const { items = [] } = await answerOf(`${url}${path}`, body === null ? undefined : init);
    return items.map(({ id }) => id);
  };
}

function line({ title, categories }: TitledItem): string {
  return `    ${title.padEnd(60)} ${categories.join(", ")}\n`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function print({ users, items, asked, slateShare, popularShare }: TasteReport, write: Write): void {
  for (const { user, top, liked, slate, ...shares } of users) {
    write(`user ${user}, mostly ${top.join(", ")}: ${percent(shares.slateShare)} of the slate, `);
    write(`${percent(shares.popularShare)} of the popular list\n  liked last\n`);
    write(liked.slice(-5).map(line).join(""));
    write(`  slate\n${slate.map(line).join("")}`);
  }
  for (const { item, similar } of items) {
    write(`like ${item.title} (${item.categories.join(", ")})\n${similar.map(line).join("")}`);
  }
  write(`over ${asked} users: ${percent(slateShare)} of a slate is of the user's three main `);
  write(`categories, ${percent(popularShare)} of the popular list\n`);
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../workers/system-clock.ts";
import { startServer } from "../assembly/running.ts";
import { readConfig } from "../config.ts";
import { createLog } from "../log.ts";
import { helpText, type OptionSpec, type ParsedOptions, parseOptions } from "./options.ts";
import { run as simulate } from "./simulate.ts";
import { untilSignal } from "./start.ts";

const specs: Readonly<Record<string, OptionSpec>> = {
  port: { kind: "number", help: "port; 0 takes any free one", default: 3_000, min: 0, max: 65_535 },
  "data-dir": { kind: "text", help: "kept there; without it in a folder that goes at the end" },
  users: { kind: "number", help: "users of the world", default: 300, min: 1, max: 4_000_000 },
  items: { kind: "number", help: "items alive at a time", default: 1_000, min: 10, max: 1_000_000 },
  rate: { kind: "number", help: "slates asked for per second", default: 40, min: 0.01 },
  speed: { kind: "number", help: "how many times as fast as life", default: 10, min: 0.01 },
  drift: { kind: "number", help: "changes of a user's taste per hour", default: 0.5, min: 0 },
  minutes: { kind: "number", help: "real minutes", default: 1_440, min: 0.01 },
  seed: { kind: "number", help: "the same seed gives the same world", default: 1, min: 0 },
  help: { kind: "flag", help: "this text" },
};

const notes = `Users come --speed times as fast as in life, so a slate's samples are learned from
after 5 s (JOINER_EMIT_AFTER_MS); labels that come later follow as corrections. Rates are
clicks per shown item: click% what users did, server% what its slates deserve by the world's
own truth, beside the slates that popularity, chance and an oracle would have shown at that
moment. Ctrl-C ends it.`;

const passed = ["users", "items", "rate", "speed", "drift", "minutes", "seed"];

const warnings = createLog({
  ...{ level: "warn", pretty: true, clock: systemClock },
  write: (line) => void process.stderr.write(line),
});

function configOf(options: ParsedOptions, dataDir: string) {
  // The crowd lives on this machine and has no token.
  const environment = { JOINER_EMIT_AFTER_MS: "5000", ...process.env, HOST: "", API_TOKEN: "" };
  const port = String(options.number("port"));
  return readConfig({ environment, flags: ["--port", port, "--data-dir", dataDir] });
}

/** `demo`: a server and a crowd that lives on it over HTTP, in one process. */
export async function run(args: readonly string[]): Promise<number> {
  const write = (text: string) => void process.stdout.write(text);
  const options = parseOptions(args, specs);
  if (options.flag("help")) {
    write(helpText("demo [options]", specs, notes));
    return 0;
  }
  const given = options.text("data-dir");
  const dataDir = given ?? mkdtempSync(join(tmpdir(), "recmaster-demo-"));
  const crowd = new AbortController();
  void untilSignal().then(() => crowd.abort());
  const server = await startServer(configOf(options, dataDir), warnings);
  let clean = false;
  try {
    await server.ready(600_000);
    write(`a server and its crowd at ${server.url}/ (status page), data in ${dataDir}\n`);
    const crowdArgs = passed.flatMap((name) => [`--${name}`, String(options.number(name))]);
    await simulate(["--url", server.url, ...crowdArgs], { write, signal: crowd.signal });
  } finally {
    clean = await server.stop();
    if (given === undefined) rmSync(dataDir, { recursive: true, force: true });
  }
  // As `start` does: threads may hold the process for a while.
  process.exit(clean ? 0 : 1);
}

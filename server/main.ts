import { type Command, runCli } from "./cli.ts";

/** The program: dispatch only, each command's module brings what it needs. */
const commands: Readonly<Record<string, Command>> = {
  start: {
    summary: "the server, on embedded defaults",
    load: () => import("./commands/start.ts"),
  },
  demo: {
    summary: "the server with a simulated crowd living on it",
    load: () => import("./commands/demo.ts"),
  },
  simulate: {
    summary: "a seeded world of users that live on a running server, or write NDJSON",
    load: () => import("./commands/simulate.ts"),
  },
  import: {
    summary: "history from files: MovieLens, RecBole, JSON lines, mapped tables",
    load: () => import("./commands/import.ts"),
  },
  check: {
    summary: "what is stored and served against the log: state, skew, simulation, taste",
    load: () => import("./commands/check.ts"),
  },
  train: {
    summary: "a ranker from history, for a server to start with",
    load: () => import("./commands/train.ts"),
  },
  export: {
    summary: "a trained ranker as a file for other runtimes: export onnx",
    load: () => import("./commands/export.ts"),
  },
  evaluate: {
    summary: "how good a ranker is that is trained on the past of a history",
    load: () => import("./commands/evaluate.ts"),
  },
};

process.exitCode = await runCli(process.argv.slice(2), {
  commands,
  write: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
});

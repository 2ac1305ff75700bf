import { RecError } from "../models/core/errors.ts";
import { limits } from "../models/limits.ts";
import { type LogRetention, type StoreVariable, storeSchemes } from "../workers/stores/open.ts";
import { isLoopback, loopbackNames } from "./http/auth.ts";
import { logLevels } from "./log.ts";
import { readRetention } from "./log-retention.ts";

/** Settings from the environment and from flags, checked once; a flag wins. */

/** Gives the value, or undefined where the text is not allowed. */
interface Setting<T> {
  readonly name: string;
  readonly flag: string;
  readonly fallback: string;
  /** What is allowed, in words. */
  readonly allowed: string;
  readonly help: string;
  read(text: string): T | undefined;
}

function naming(name: string) {
  return { name, flag: `--${name.toLowerCase().replaceAll("_", "-")}` };
}

type Naming = { readonly help: string; readonly fallback: string };

function count(name: string, range: [number, number], about: Naming): Setting<number> {
  const [min, max] = range;
  return {
    ...naming(name),
    ...about,
    allowed: `a whole number, ${min} to ${max}`,
    read(text) {
      const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
      return value >= min && value <= max ? value : undefined;
    },
  };
}

function word<const W extends readonly string[]>(
  name: string,
  words: W,
  about: Naming,
): Setting<W[number]> {
  const known = new Map<string, W[number]>(words.map((one) => [one, one]));
  return {
    ...naming(name),
    ...about,
    allowed: words.join(" | "),
    read: (text) => known.get(text),
  };
}

function pattern(name: string, shape: RegExp, about: Naming & { allowed: string }) {
  const setting: Setting<string> = {
    ...naming(name),
    ...about,
    read: (text) => (shape.test(text) ? text : undefined),
  };
  return setting;
}

const hostNames = /^[A-Za-z0-9.:[\]_-]+(,[A-Za-z0-9.:[\]_-]+)*$/;
const workersMax = 16;

/** The defaults that hang on the machine. */
export interface Machine {
  readonly cores: number;
}

function doorSettings() {
  return {
    host: pattern("HOST", hostNames, {
      fallback: "127.0.0.1",
      allowed: "an address to listen on, then names that requests may use: 0.0.0.0,rec.example.com",
      help: "Address to listen on; beyond loopback API_TOKEN is needed.",
    }),
    port: count("PORT", [0, 65_535], { fallback: "3000", help: "Port; 0 takes any free one." }),
    dataDir: pattern("DATA_DIR", /./, {
      fallback: "./data",
      allowed: "a directory",
      help: "Where the log, the documents and the models are kept.",
    }),
    apiToken: pattern("API_TOKEN", /^$|^[!-~]{16,512}$/, {
      fallback: "",
      allowed: "16 to 512 visible ASCII characters without spaces",
      help: "Token that every route but health then needs.",
    }),
    logLevel: word("LOG_LEVEL", logLevels, { fallback: "info", help: "The least level logged." }),
  };
}

/** Null where it is not set. */
function countOrNone(name: string, range: [number, number], help: string): Setting<number | null> {
  const whole = count(name, range, { fallback: "", help });
  return { ...whole, read: (text) => (text === "" ? null : whole.read(text)) };
}

function roleSettings(machine: Machine) {
  const oneBelow = String(Math.min(Math.max(1, machine.cores - 1), workersMax));
  return {
    rankWorkers: count("RANK_WORKERS", [1, workersMax], {
      fallback: oneBelow,
      help: "Ranking threads.",
    }),
    logPartitions: countOrNone(
      "LOG_PARTITIONS",
      [1, limits.logPartitionsMax],
      "Partitions of users, shared by window and joiner threads. A data folder keeps those that " +
        "it was made with: 1 where nothing was said.",
    ),
    windowWorkers: count("WINDOW_WORKERS", [1, workersMax], {
      fallback: "1",
      help: "Window threads, at most LOG_PARTITIONS.",
    }),
    joinerWorkers: count("JOINER_WORKERS", [1, workersMax], {
      fallback: "1",
      help: "Joiner threads, at most LOG_PARTITIONS.",
    }),
    rowsInMemory: countOrNone(
      "ROWS_IN_MEMORY",
      [1, limits.userCategoryPairsMax],
      "Rows of each table that stand in memory, the others in files: windows of a scope, " +
        "aggregates of a scope, recent and seen items of users.",
    ),
    definition: pattern("REC_DEFINITION", /^$|\.(ts|js|mjs)$/, {
      fallback: "",
      allowed: "the path of a module whose default export is a definition",
      help: "Your own recommender; without one the video feed.",
    }),
    rankEngine: word("RANK_ENGINE", ["native", "onnx"], {
      fallback: "native",
      help: "What runs the ranker: our own kernels, or ONNX Runtime.",
    }),
    rankOnnx: pattern("RANK_ONNX", /^$|\.onnx$/, {
      fallback: "",
      allowed: "the path of an .onnx file",
      help: "A model from elsewhere as the ranker, with RANK_ENGINE=onnx; the trainer then rests.",
    }),
    publishEvery: count("PUBLISH_EVERY", [1, 1_000_000], {
      fallback: "100",
      help: "Samples between two model swaps.",
    }),
    detailsPrefetch: word("DETAILS_PREFETCH", ["on", "off"], {
      fallback: "on",
      help: "Whether documents of likely items are fetched while the model runs.",
    }),
    joinerEmitAfterMs: count("JOINER_EMIT_AFTER_MS", [0, 86_400_000], {
      fallback: "0",
      help:
        "How long a slate waits for its labels before it is learned from; later ones correct. " +
        "0: until all but delayed conversions must be in.",
    }),
    recallRebuildPercent: count("RECALL_REBUILD_PERCENT", [1, 100], {
      fallback: "20",
      help: "Percent of the time that a rebuild of the recall index takes while it goes on.",
    }),
    recallEveryMs: count("RECALL_EVERY_MS", [1_000, 86_400_000], {
      fallback: "5000",
      help: "From the start of one rebuild of the recall index to that of the next, at least.",
    }),
    logRetention: retention(),
    durability: word("DURABILITY", ["fsync", "async"], {
      fallback: "fsync",
      help: "When events are acknowledged: on disk, or once the system has them.",
    }),
  };
}

function retention(): Setting<LogRetention> {
  return {
    ...naming("LOG_RETENTION"),
    ...{ fallback: "", allowed: "TOPIC=LIMIT[+LIMIT],... as in all=30d,served=20gb+7d; mb gb h d" },
    help: "What of the log may be dropped once no start needs it; none: nothing.",
    read: readRetention,
  };
}

function store(name: StoreVariable, help: string): Setting<string> {
  const schemes: readonly string[] = storeSchemes[name];
  return {
    ...naming(name),
    ...{ help, fallback: "embedded:", allowed: schemes.join(" | ") },
    read(text) {
      const known = schemes.some((scheme) => text === scheme || text.startsWith(`${scheme}//`));
      return known ? text : undefined;
    },
  };
}

function storeSettings() {
  return {
    eventLogUrl: store("EVENT_LOG_URL", "The event log."),
    featureStoreUrl: store("FEATURE_STORE_URL", "The feature store."),
    vectorIndexUrl: store("VECTOR_INDEX_URL", "The vector index."),
  };
}

function settingsFor(machine: Machine) {
  return { ...doorSettings(), ...roleSettings(machine), ...storeSettings() };
}

type Settings = ReturnType<typeof settingsFor>;

export type Config = {
  readonly [K in keyof Settings]: Settings[K] extends Setting<infer T> ? T : never;
} & {
  /** The address to listen on: the first of `HOST`. */
  readonly bindAddress: string;
  /** Names that Host and Origin may carry; null where any may. */
  readonly hostNames: readonly string[] | null;
};

export interface ConfigSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `--port 80` or `--port=80`. */
  readonly flags?: readonly string[];
  readonly machine?: Machine;
}

/** Flag values by name; unknown flags are refused, since a typo must not start a default. */
function readFlags(flags: readonly string[], known: ReadonlySet<string>): Map<string, string> {
  const values = new Map<string, string>();
  for (let i = 0; i < flags.length; i++) {
    const [flag = "", ...rest] = flags[i]!.split("=");
    const value = rest.length > 0 ? rest.join("=") : flags[++i];
    if (known.has(flag) && value !== undefined) values.set(flag, value);
    else {
      const message = known.has(flag) ? `${flag} needs a value` : `${flag} is not an option`;
      throw new RecError("REC_CONFIG_FLAG", message, { path: flag, fix: "see --help" });
    }
  }
  return values;
}

function readSetting<T>(
  setting: Setting<T>,
  sources: ConfigSources,
  flags: ReadonlyMap<string, string>,
): T {
  const flagged = flags.get(setting.flag);
  const set = sources.environment[setting.name];
  const text = flagged ?? (set === undefined || set === "" ? setting.fallback : set);
  const value = setting.read(text);
  if (value !== undefined) return value;
  const name = flagged === undefined ? setting.name : setting.flag;
  const isSecret = setting.name === "API_TOKEN";
  const shown = isSecret ? "(not shown)" : `"${text.replace(/\/\/[^@/]*@/, "//***@")}"`;
  const message = `${name} is ${shown}; allowed: ${setting.allowed}`;
  throw new RecError("REC_CONFIG_VALUE", message, { path: name });
}

function namesFor(bindAddress: string, more: readonly string[]): readonly string[] | null {
  const names = more.map((name) => name.toLowerCase());
  if (isLoopback(bindAddress)) return [...loopbackNames, ...names];
  return names.length === 0 ? null : [...names, bindAddress.toLowerCase()];
}

/** A model that nothing would run must not look as if it served. */
function engineOf(rankEngine: "native" | "onnx", rankOnnx: string) {
  if (rankEngine === "onnx" || rankOnnx === "") return { rankEngine, rankOnnx };
  const message = `RANK_ONNX is "${rankOnnx}", but RANK_ENGINE is native`;
  throw new RecError("REC_CONFIG_VALUE", message, { path: "RANK_ONNX", fix: "RANK_ENGINE=onnx" });
}

/** The checked settings. Throws REC_CONFIG_* with the name, the value and what is allowed. */
export function readConfig(sources: ConfigSources): Config {
  const settings = settingsFor(sources.machine ?? { cores: navigator.hardwareConcurrency });
  const known = new Set(Object.values(settings).map((setting) => setting.flag));
  const flags = readFlags(sources.flags ?? [], known);
  const take = <T>(setting: Setting<T>): T => readSetting(setting, sources, flags);
  const host = take(settings.host);
  const [bindAddress = "", ...more] = host.split(",");
  const apiToken = take(settings.apiToken);
  if (apiToken === "" && !isLoopback(bindAddress)) {
    const message = `HOST is "${host}"; beyond loopback (127.0.0.1) API_TOKEN must be set`;
    throw new RecError("REC_CONFIG_TOKEN", message, { path: "API_TOKEN" });
  }
  return Object.freeze({
    ...{ host, bindAddress, apiToken, hostNames: namesFor(bindAddress, more) },
    port: take(settings.port),
    dataDir: take(settings.dataDir),
    rankWorkers: take(settings.rankWorkers),
    logPartitions: take(settings.logPartitions),
    windowWorkers: take(settings.windowWorkers),
    joinerWorkers: take(settings.joinerWorkers),
    rowsInMemory: take(settings.rowsInMemory),
    eventLogUrl: take(settings.eventLogUrl),
    featureStoreUrl: take(settings.featureStoreUrl),
    vectorIndexUrl: take(settings.vectorIndexUrl),
    definition: take(settings.definition),
    ...engineOf(take(settings.rankEngine), take(settings.rankOnnx)),
    publishEvery: take(settings.publishEvery),
    joinerEmitAfterMs: take(settings.joinerEmitAfterMs),
    recallRebuildPercent: take(settings.recallRebuildPercent),
    recallEveryMs: take(settings.recallEveryMs),
    detailsPrefetch: take(settings.detailsPrefetch),
    logRetention: take(settings.logRetention),
    durability: take(settings.durability),
    logLevel: take(settings.logLevel),
  });
}

/** One line a setting, for --help. */
export function configHelp(): string {
  const settings = Object.values(settingsFor({ cores: navigator.hardwareConcurrency }));
  return settings
    .map(({ name, flag, fallback, allowed, help }) => {
      const shown = fallback === "" ? "none" : fallback;
      return `  ${flag}, ${name}\n      ${help} (${shown}; ${allowed})`;
    })
    .join("\n");
}

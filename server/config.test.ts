import { describe, expect, test } from "bun:test";
import { RecError } from "../models/core/errors.ts";
import { configHelp, readConfig } from "./config.ts";

const machine = { cores: 4 };

function refusal(environment: Record<string, string>, flags: string[] = []): RecError {
  try {
    readConfig({ environment, flags, machine });
  } catch (thrown) {
    if (thrown instanceof RecError) return thrown;
  }
  throw new Error("was taken");
}

describe("config", () => {
  test("defaults, environment, and flags over both", () => {
    const config = readConfig({ environment: {}, machine });
    expect(config).toMatchObject({ host: "127.0.0.1", port: 3_000, rankWorkers: 3 });
    expect(config).toMatchObject({ durability: "fsync", apiToken: "", publishEvery: 100 });
    expect(config.rowsInMemory).toBe(null);
    expect(Object.isFrozen(config)).toBe(true);
    const flags = ["--port", "0", "--data-dir=x=y"];
    const set = readConfig({ environment: { PORT: "9", ROWS_IN_MEMORY: "64" }, flags, machine });
    expect(set).toMatchObject({ port: 0, dataDir: "x=y", rowsInMemory: 64 });
  });

  test.each([
    ["PORT", "70000", "0 to 65535"],
    ["PORT", "80x", "0 to 65535"],
    ["PORT", "-1", "0 to 65535"],
    ["RANK_WORKERS", "0", "1 to 16"],
    ["ROWS_IN_MEMORY", "0", "1 to 16000000"],
    ["DURABILITY", "maybe", "fsync | async"],
    ["EVENT_LOG_URL", "http://x", "allowed: embedded:"],
    ["LOG_LEVEL", "loud", "debug | info"],
    ["HOST", "a b", "address"],
    ["LOG_RETENTION", "events", "TOPIC=LIMIT"],
    ["LOG_RETENTION", "event=3d", "TOPIC=LIMIT"],
    ["LOG_RETENTION", "events=3", "TOPIC=LIMIT"],
    ["LOG_RETENTION", "events=0d", "TOPIC=LIMIT"],
    ["LOG_RETENTION", "events=3d,", "TOPIC=LIMIT"],
  ])("%s=%s is refused with what is allowed", (name, value, allowed) => {
    const { message, path } = refusal({ [name]: value });
    expect(path).toBe(name);
    expect(message).toContain(`${name} is "${value}"`);
    expect(message).toContain(allowed);
  });

  test("retention is read by topic: its own entry wins over that for all", () => {
    const of = (text: string) =>
      readConfig({ environment: { LOG_RETENTION: text }, machine }).logRetention;
    expect(of("")).toEqual({});
    expect(of("served=20gb+7d")).toEqual({
      served: {
        ...{ sizeBytesMax: 20 * 2 ** 30, ageMsMax: 7 * 86_400_000 },
        heldBy: ["windows", "joiner"],
      },
    });
    const all = of("items=500mb,all=48h");
    expect(Object.keys(all).toSorted()).toEqual([
      "commits",
      "events",
      "items",
      "late",
      "samples",
      "served",
    ]);
    expect(all.items).toEqual({ sizeBytesMax: 500 * 2 ** 20, heldBy: ["ingest"] });
    expect(all.events?.ageMsMax).toBe(48 * 3_600_000);
  });

  test("a wrong flag is named as the flag; unknown flags and missing values stop", () => {
    expect(refusal({}, ["--port", "x"]).path).toBe("--port");
    expect(refusal({}, ["--prot", "1"]).code).toBe("REC_CONFIG_FLAG");
    expect(refusal({}, ["--port"]).message).toContain("needs a value");
  });

  test("beyond loopback a token is needed, and no message shows one", () => {
    expect(refusal({ HOST: "0.0.0.0" }).code).toBe("REC_CONFIG_TOKEN");
    expect(refusal({ HOST: "0.0.0.0,localhost" }).code).toBe("REC_CONFIG_TOKEN");
    expect(refusal({ API_TOKEN: "short-secret" }).message).not.toContain("short-secret");
    const token = "0123456789abcdef";
    const open = readConfig({ environment: { HOST: "0.0.0.0", API_TOKEN: token }, machine });
    expect(open.hostNames).toBe(null);
    const named = { HOST: "0.0.0.0,Rec.example.com", API_TOKEN: token };
    expect(readConfig({ environment: named, machine }).hostNames).toContain("rec.example.com");
  });

  test("help names every setting", () => {
    for (const name of ["HOST", "DATA_DIR", "REC_DEFINITION", "VECTOR_INDEX_URL"]) {
      expect(configHelp()).toContain(name);
    }
  });
});

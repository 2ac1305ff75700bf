import { expect, test } from "bun:test";
import { ManualClock } from "../models/core/clock.ts";
import { createLog } from "./log.ts";

const clock = new ManualClock(Date.UTC(2026, 0, 1));

test("lines are JSON, from the level up, and hold whatever they are given", () => {
  const lines: string[] = [];
  const write = (line: string) => lines.push(line);
  const log = createLog({ level: "info", pretty: false, clock, write });
  log.debug("not this");
  log.info("a", { n: 1 });
  log.error("b\nc", { big: 2n, cause: new Error("why") });
  expect(lines.every((line) => line.endsWith("\n") && line.indexOf("\n") === line.length - 1)).toBe(
    true,
  );
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { time: "2026-01-01T00:00:00.000Z", level: "info", message: "a", n: 1 },
    {
      ...{ time: "2026-01-01T00:00:00.000Z", level: "error", message: "b\nc" },
      ...{ big: "2", cause: "Error: why" },
    },
  ]);
});

test("a person sees words; silent is silent", () => {
  const lines: string[] = [];
  const write = (line: string) => lines.push(line);
  createLog({ level: "debug", pretty: true, clock, write }).warn("slow", { ms: 5, of: "x" });
  createLog({ level: "silent", pretty: false, clock, write }).error("never");
  expect(lines).toEqual(["00:00:00.000 warn  slow  ms=5  of=x\n"]);
});

import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../models/core/clock.ts";
import { isRecord } from "../../models/core/schema.ts";
import { callOf, fakeDoor } from "./fake-ports.ts";
import { badInputs } from "./testing/bad-inputs.ts";

const nowMs = Date.UTC(2026, 0, 1);
const table = badInputs(nowMs);

describe("bad input", () => {
  test("the table is long enough", () => {
    expect(new Set(table.map(({ what }) => what)).size).toBe(table.length);
    expect(table.length).toBeGreaterThanOrEqual(40);
  });

  test.each(table.map((row) => [row.what, row] as const))("%s", async (_what, { call, answer }) => {
    const { app, touched, metrics } = fakeDoor({ clock: new ManualClock(nowMs) });
    const before = touched();
    const response = await app.fetch(callOf(...call));
    const body: unknown = await response.json();
    const error: unknown = isRecord(body) ? body.error : null;
    if (!isRecord(error)) throw new Error(`no error in ${JSON.stringify(body)}`);
    const { code, path } = error;
    expect({ status: response.status, code, path }).toEqual({ ...answer });
    expect(String(error.message).length).toBeGreaterThan(5);
    expect(touched()).toEqual(before);
    expect(metrics.counts.has("rec_http_server_errors_total")).toBe(false);
  });
});

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecError } from "../models/core/errors.ts";
import { isRecord } from "../models/core/schema.ts";

export interface CannonResult {
  /** Answers with a status of 2xx, in the whole run. */
  readonly answered: number;
  /** How long it really ran. */
  readonly seconds: number;
  /** All others, and what was not answered. */
  readonly failed: number;
}

/**
 * autocannon in a process of its own: `connections` that ask again as soon as they are answered,
 * going through `bodies` in turn. Its processor time is not the server's.
 */
export async function cannon(options: {
  port: number;
  path: string;
  bodies: readonly unknown[];
  connections: number;
  seconds: number;
}): Promise<CannonResult> {
  const folder = mkdtempSync(join(tmpdir(), "recmaster-cannon-"));
  const origin = `http://127.0.0.1:${options.port}`;
  const entries = options.bodies.map((body) => ({
    request: {
      method: "POST",
      url: origin + options.path,
      headers: [{ name: "content-type", value: "application/json" }],
      postData: { mimeType: "application/json", text: JSON.stringify(body) },
    },
  }));
  const har = join(folder, "requests.har");
  writeFileSync(har, JSON.stringify({ log: { entries } }));
  const program = join(import.meta.dir, "..", "node_modules", "autocannon", "autocannon.js");
  const sizes = ["-c", `${options.connections}`, "-d", `${options.seconds}`];
  const command = [process.execPath, program, "--json", "--har", har, ...sizes, origin];
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "ignore" });
  const text = await new Response(child.stdout).text();
  await child.exited;
  rmSync(folder, { recursive: true, force: true });
  return resultOf(text);
}

function numberAt(value: unknown, ...path: readonly string[]): number {
  let at: unknown = value;
  for (const name of path) at = isRecord(at) ? at[name] : undefined;
  return typeof at === "number" ? at : Number.NaN;
}

function resultOf(text: string): CannonResult {
  const line = text.split("\n").find((part) => part.startsWith("{"));
  if (line === undefined) throw new RecError("REC_BENCH_CANNON", "autocannon printed no result");
  const result: unknown = JSON.parse(line);
  return {
    answered: numberAt(result, "2xx"),
    seconds: numberAt(result, "duration"),
    failed: numberAt(result, "errors") + numberAt(result, "timeouts") + numberAt(result, "non2xx"),
  };
}

import { RecError } from "../models/core/errors.ts";

/** A counter or gauge of a server's `/metrics`. */
export async function readMetric(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const escaped = name.replace(/[{}"()]/g, "\\$&");
  const found = new RegExp(`^${escaped} (\\S+)$`, "m").exec(text)?.[1];
  if (found === undefined) throw new RecError("REC_BENCH_METRICS", `no ${name} is reported`);
  return Number(found);
}

import { isRecord } from "../../models/core/schema.ts";
import { httpRequest, type LoadClient } from "../open-loop.ts";
import { median, percentile } from "../statistics.ts";

/** How many candidates the model scored, by an answer's `explain`; -1 where it does not say. */
export function rankedIn(body: Uint8Array | null): number {
  const value: unknown = body === null ? null : JSON.parse(new TextDecoder().decode(body));
  const stages = isRecord(value) && Array.isArray(value.explain) ? value.explain : [];
  const model = stages.find((stage) => isRecord(stage) && stage.stage === "model");
  return isRecord(model) && typeof model.kept === "number" ? model.kept : -1;
}

/** Candidates ranked for users spread over all: median and 5 % quantile. */
export async function rankedCandidates(
  client: LoadClient,
  users: number,
): Promise<{ median: number; low: number }> {
  const ranked: number[] = [];
  const probes = Math.min(200, users);
  for (let i = 0; i < probes; i++) {
    const user = `u${Math.floor((i * users) / probes)}`;
    const body = { user, n: 20, explain: true };
    const answer = await client.request(httpRequest("POST", "/v1/recommend", body));
    ranked.push(rankedIn(answer.body));
  }
  return { median: median(ranked), low: percentile(ranked, 0.05) };
}

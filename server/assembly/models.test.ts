import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import recommender from "../../models/definition/default.ts";
import type { RankingDefinition } from "../../models/definition/define.ts";
import { rankingBy } from "../../models/ranking/model-types.ts";
import { readConfig } from "../config.ts";
import { startServer } from "./running.ts";

const folder = mkdtempSync(join(tmpdir(), "rec-models-"));
afterAll(() => rmSync(folder, { recursive: true }));
const silent = () => undefined;
const quiet = { debug: silent, info: silent, warn: silent, error: silent };

/** A module with the default definition, but for its ranking. */
function definitionWith(name: string, ranking: RankingDefinition): string {
  const feed = join(import.meta.dir, "../../models/definition/default.ts");
  const path = join(folder, `${name}.ts`);
  const text = `{ ...feed, ranking: ${JSON.stringify(ranking)} }`;
  writeFileSync(path, `import feed from ${JSON.stringify(feed)};\nexport default ${text};\n`);
  return path;
}

interface Slate {
  readonly model: number;
  readonly degraded: readonly string[];
  readonly items: readonly { readonly heads: Readonly<Record<string, number>> }[];
}

async function post(url: string, body: unknown): Promise<Slate> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  expect(answer.status).toBe(200);
  return JSON.parse(await answer.text());
}

const fixed = { ctr: 1, like: 0.5, finish: 0.5, cvr: 1, watch: 0.2 };
const rankings: readonly [string, RankingDefinition][] = [
  ["ple", rankingBy(recommender.ranking, "ple")],
  [
    "plain",
    { ...rankingBy(recommender.ranking, "shared-bottom"), skip: false, lossWeights: fixed },
  ],
];

for (const [name, ranking] of rankings) {
  test(`a server whose definition names another ranker serves and learns: ${name}`, async () => {
    const environment = {
      ...{ DATA_DIR: join(folder, name), PORT: "0", RANK_WORKERS: "1", PUBLISH_EVERY: "20" },
      ...{ JOINER_EMIT_AFTER_MS: "50", REC_DEFINITION: definitionWith(name, ranking) },
    };
    const server = await startServer(readConfig({ environment }), quiet);
    try {
      await server.ready(60_000);
      const ids = Array.from({ length: 40 }, (_, i) => `i${i}`);
      await post(
        `${server.url}/v1/items`,
        ids.map((id, i) => ({ id, categories: [`c${i % 3}`] })),
      );
      const ask = async () => {
        const slate = await post(`${server.url}/v1/recommend`, { user: "u", n: 20, explain: true });
        const click = { type: "click", user: "u", item: "i1" };
        await post(`${server.url}/v1/events`, [click]);
        return slate;
      };
      const first = await ask();
      let last = first;
      for (const until = performance.now() + 60_000; last.model < first.model + 2; ) {
        expect(performance.now()).toBeLessThan(until);
        last = await ask();
      }
      expect(last.degraded).not.toContain("model");
      expect(last.items.length).toBeGreaterThan(0);
      const heads = recommender.heads.map((head) => head.name);
      for (const item of last.items) {
        expect(Object.keys(item.heads)).toEqual(heads);
        expect(Object.values(item.heads).every((value) => value >= 0)).toBe(true);
      }
    } finally {
      await server.stop();
    }
  }, 180_000);
}

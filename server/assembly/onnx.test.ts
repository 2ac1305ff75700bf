import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import recommender from "../../models/definition/default.ts";
import { fileVersion } from "../../workers/ranking/onnx/file-ranker.ts";
import { readConfig } from "../config.ts";
import { type RunningServer, startServer } from "./running.ts";

const folder = mkdtempSync(join(tmpdir(), "rec-onnx-"));
afterAll(() => rmSync(folder, { recursive: true }));
const model = join(import.meta.dir, "../../workers/ranking/onnx/testing/torch-ranker.onnx");
const silent = () => undefined;
const quiet = { debug: silent, info: silent, warn: silent, error: silent };

function start(name: string, onnx: string): Promise<RunningServer> {
  const environment = {
    ...{ DATA_DIR: join(folder, name), PORT: "0", RANK_WORKERS: "1", PUBLISH_EVERY: "20" },
    ...{ RANK_ENGINE: "onnx", RANK_ONNX: onnx, JOINER_EMIT_AFTER_MS: "50" },
  };
  return startServer(readConfig({ environment }), quiet);
}

async function post(url: string, body: unknown): Promise<{ status: number; body: Explained }> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  return { status: answer.status, body: JSON.parse(await answer.text()) };
}

async function get(url: string): Promise<Record<string, unknown>> {
  return JSON.parse(await (await fetch(url)).text());
}

interface Explained {
  readonly degraded: readonly string[];
  readonly items: readonly {
    readonly heads: Readonly<Record<string, number>>;
    readonly features: Readonly<Record<string, number>>;
  }[];
  readonly features: { readonly user: Readonly<Record<string, number>> };
}

/** The slate's heads once more, from the features that it says the model was told. */
async function scoredAgain({ items, features }: Explained): Promise<number[][]> {
  const session = await InferenceSession.create(model);
  const column = (name: string) =>
    items.map((item) => ({ ...features.user, ...item.features })[name]);
  const [noted] = JSON.parse(readFileSync(`${model}.json`, "utf8")).inputs;
  const x = items.flatMap((_, i) => noted.features.map((name: string) => column(name)[i]));
  const floats = (values: readonly (number | undefined)[]) => Float32Array.from(values, Number);
  const n = items.length;
  const answers = await session.run({
    "user.total.clickRate": new Tensor("float32", floats(column("user.total.clickRate")), [n]),
    "item.total.clickRate": new Tensor("float32", floats(column("item.total.clickRate")), [n, 1]),
    x: new Tensor("float32", floats(x), [n, noted.features.length]),
  });
  await session.release();
  const data = (name: string) => Array.from(answers[name]?.data ?? [], Number);
  return items.map((_, i) => [
    ...[data("ctr")[i]!, ...data("rest").slice(3 * i, 3 * i + 3), data("watch")[i]!],
  ]);
}

test("a model from PyTorch ranks, through HTTP", async () => {
  const server = await start("torch", model);
  await server.ready(60_000);
  const items = Array.from({ length: 60 }, (_, i) => ({ id: `i${i}`, categories: [`c${i % 3}`] }));
  await post(`${server.url}/v1/items`, items);
  const events = Array.from({ length: 30 }, (_, i) => ({
    ...{ type: i % 3 === 0 ? "click" : "impression", user: "u1", item: `i${i}` },
  }));
  await post(`${server.url}/v1/events`, events);
  const ask = { user: "u1", items: items.slice(0, 40).map(({ id }) => id), explain: true };
  let slate = (await post(`${server.url}/v1/rank`, ask)).body;
  // Until the clicks are counted all items look alike.
  const rates = () => new Set(slate.items.map(({ heads }) => heads.ctr));
  for (const until = performance.now() + 30_000; rates().size < 3; ) {
    expect(performance.now()).toBeLessThan(until);
    slate = (await post(`${server.url}/v1/rank`, ask)).body;
  }
  expect(slate).toMatchObject({ model: fileVersion(model) });
  expect(slate.degraded).not.toContain("model");
  const heads = recommender.heads.map(({ name }) => name);
  const again = await scoredAgain(slate);
  for (const [i, item] of slate.items.entries()) {
    expect(Object.keys(item.heads)).toEqual(heads);
    for (const [h, name] of heads.entries()) expect(item.heads[name]).toBeCloseTo(again[i]![h]!, 5);
  }
  await theTrainerRests(server);
  expect(await server.stop()).toBe(true);
}, 120_000);

async function theTrainerRests({ url, storage }: RunningServer): Promise<void> {
  const slate = await post(`${url}/v1/recommend`, { user: "u1", n: 20 });
  expect(slate.body).toMatchObject({ model: fileVersion(model) });
  for (const until = performance.now() + 30_000; storage.log.endOffset("samples", 0) < 20; ) {
    expect(performance.now()).toBeLessThan(until);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const version = storage.state.slots.current().version;
  const models = await get(`${url}/v1/models`);
  expect(models).toMatchObject({ trains: false, samples: 0, working: version });
  const serving = { engine: "onnx", version: fileVersion(model), file: "torch-ranker.onnx" };
  expect(models.serving).toEqual(serving);
  expect(await get(`${url}/v1/status`)).toMatchObject({ trains: 0, swapsTotal: 0 });
  const refused = await post(`${url}/v1/models/1/promote`, {});
  expect(refused).toMatchObject({ status: 409, body: { error: { code: "REC_MODEL_CONFLICT" } } });
}

test("a model that does not fit stops the start before anything is opened", async () => {
  const bare = join(folder, "bare.onnx");
  writeFileSync(bare, readFileSync(model));
  await expect(start("bare", bare)).rejects.toThrow('no output for head "like"');
  await expect(start("bare", join(folder, "none.onnx"))).rejects.toThrow("cannot be read");
  expect(existsSync(join(folder, "bare"))).toBe(false);
});

import { afterAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecError } from "../../../models/core/errors.ts";
import feed from "../../../models/definition/default.ts";
import { featureCatalog } from "../../../models/features/catalog.ts";
import { type Dimension, OnnxGraph } from "../../../models/onnx/graph.ts";
import type { OnnxNote } from "../../../models/onnx/note.ts";
import type { ScoreInputs } from "../state.ts";
import { FileRanker, fileVersion } from "./file-ranker.ts";

const golden = join(import.meta.dir, "testing", "torch-ranker.onnx");
const folder = mkdtempSync(join(tmpdir(), "onnx-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const { userNames, itemNames } = featureCatalog(feed);

function emptyInputs(count: number): ScoreInputs {
  return {
    ...{ weights: new Float32Array(0), count },
    userDense: new Float32Array(userNames.length),
    itemDense: new Float32Array(count * itemNames.length),
    userVector: new Float32Array(feed.ranking.userEmbedding),
    itemVectors: new Float32Array(count * feed.ranking.itemEmbedding),
  };
}

let made = 0;

/** A file of a graph, and its note. */
function fileOf(build: (graph: OnnxGraph) => void, note?: Partial<OnnxNote>): string {
  const graph = new OnnxGraph();
  build(graph);
  const path = join(folder, `model${made++}.onnx`);
  writeFileSync(path, graph.finish());
  if (note !== undefined) {
    writeFileSync(`${path}.json`, JSON.stringify({ inputs: [], outputs: [], ...note }));
  }
  return path;
}

function refusal(path: string): RecError {
  try {
    new FileRanker(path, feed).close();
  } catch (thrown) {
    if (thrown instanceof RecError) return thrown;
    throw thrown;
  }
  throw new Error("was taken");
}

/** Every head from one column of an input: its sigmoid. */
function headsFrom(graph: OnnxGraph, value: string, names = feed.heads.map(({ name }) => name)) {
  const column = graph.slice(value, { from: 0, to: 1, axis: 1 });
  const rows = graph.reshape(column, [-1]);
  for (const name of names) graph.output(graph.node("Sigmoid", [rows]), name, ["candidates"]);
}

describe("a model from PyTorch", () => {
  test("answers as PyTorch did", () => {
    const ranker = new FileRanker(golden, feed);
    const { features, rows, heads, answers } = JSON.parse(
      readFileSync(golden.replace(".onnx", ".expected.json"), "utf8"),
    );
    expect(heads).toEqual(feed.heads.map(({ name }) => name));
    // One call a row: the user's features differ by row.
    for (const [r, row] of rows.entries()) {
      const inputs = emptyInputs(2);
      for (const [j, name] of features.entries()) {
        const user = userNames.indexOf(name);
        if (user >= 0) inputs.userDense[user] = row[j];
        else inputs.itemDense[itemNames.length + itemNames.indexOf(name)] = row[j];
      }
      const out = new Float32Array(2 * heads.length);
      ranker.score(inputs, out);
      for (const h of heads.keys()) expect(out[2 * h + 1]!).toBeCloseTo(answers[r][h], 5);
    }
    ranker.close();
  });

  test("has a version of its content and its note", () => {
    const copy = join(folder, "copy.onnx");
    copyFileSync(golden, copy);
    expect(fileVersion(golden)).toBeGreaterThanOrEqual(2 ** 31);
    expect(fileVersion(golden)).toBeLessThan(2 ** 32);
    expect(fileVersion(copy)).not.toBe(fileVersion(golden));
    copyFileSync(`${golden}.json`, `${copy}.json`);
    expect(fileVersion(copy)).toBe(fileVersion(golden));
  });

  test("without its note, what is unknown is named", () => {
    const bare = join(folder, "bare.onnx");
    copyFileSync(golden, bare);
    const { code, message, fix } = refusal(bare);
    expect(code).toBe("REC_ONNX_BINDING");
    expect(message).toContain('does not fit the definition "video-feed"');
    expect(message).toContain('input "x" (float32 [rows, 3]) is neither a block (user_dense');
    expect(message).toContain('no output for head "like", head "finish", head "cvr"');
    expect(message).toContain('its outputs are "ctr", "rest", "watch"');
    expect(fix).toContain("bare.onnx.json");
  });
});

describe("rows of an input", () => {
  test("of user features alone: one, or the user's row for each candidate", () => {
    for (const [rows, once] of [
      ["users", true],
      [1, true],
      ["batch", false],
    ] as const) {
      const path = fileOf((graph) => {
        const user = graph.input("user.hourSin", [rows, 1]);
        const item = graph.input("item.vectorScore", ["batch", 1]);
        headsFrom(graph, graph.node("Add", [item, user]));
      });
      const ranker = new FileRanker(path, feed);
      expect(ranker.binding.inputs.map((input) => input.once)).toEqual([once, false]);
      const inputs = emptyInputs(3);
      inputs.userDense[userNames.indexOf("user.hourSin")] = 0.5;
      for (let i = 0; i < 3; i++) {
        inputs.itemDense[i * itemNames.length + itemNames.indexOf("item.vectorScore")] = i;
      }
      const out = new Float32Array(15);
      ranker.score(inputs, out);
      for (let i = 0; i < 3; i++) expect(out[i]!).toBeCloseTo(1 / (1 + Math.exp(-0.5 - i)), 6);
      ranker.close();
    }
  });

  test("of features and blocks by the note, in any order, beside each other", () => {
    const path = fileOf(
      (graph) => {
        const x = graph.input("x", ["n", 2]);
        const items = graph.input("embedding", ["n", feed.ranking.itemEmbedding]);
        const first = graph.slice(items, { from: 0, to: 1, axis: 1 });
        const sum = graph.node("ReduceSum", [x, graph.integers([1])]);
        headsFrom(graph, graph.node("Add", [sum, first]));
      },
      {
        inputs: [
          { name: "x", features: ["item.vectorScore", "user.hourCos"] },
          { name: "embedding", block: "item_embedding" },
        ],
      },
    );
    const ranker = new FileRanker(path, feed);
    const inputs = emptyInputs(2);
    inputs.userDense[userNames.indexOf("user.hourCos")] = 1;
    inputs.itemDense[itemNames.length + itemNames.indexOf("item.vectorScore")] = 2;
    inputs.itemVectors[feed.ranking.itemEmbedding] = 4;
    const out = new Float32Array(10);
    ranker.score(inputs, out);
    expect(out[0]!).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
    expect(out[1]!).toBeCloseTo(1 / (1 + Math.exp(-7)), 6);
    ranker.close();
  });
});

describe("what does not fit is refused, with what, where and how to mend it", () => {
  const withInput = (name: string, dimensions: readonly Dimension[]) => () =>
    fileOf((graph) => {
      const value = graph.input(name, dimensions);
      headsFrom(graph, dimensions.length === 1 ? graph.reshape(value, [-1, 1]) : value);
    });
  const item = (graph: OnnxGraph) => graph.input("item.vectorScore", ["n", 1]);
  const noted = (note: Partial<OnnxNote>) => () =>
    fileOf((graph) => headsFrom(graph, item(graph)), note);
  const cases: readonly [string, () => string, string][] = [
    ["an unknown input", withInput("item.age", ["n", 1]), "is neither a block"],
    ["a block of another width", withInput("item_dense", ["n", 3]), "must be [rows, "],
    ["a matrix for one feature", withInput("item.vectorScore", ["n", 2]), "must be [rows, 1]"],
    ["a fixed number of rows", withInput("item.vectorScore", [8, 1]), "is fixed at 8 rows"],
    [
      "three dimensions",
      () =>
        fileOf((graph) => {
          const value = graph.input("item.vectorScore", ["n", 1, 1]);
          headsFrom(graph, graph.reshape(value, [-1, 1]));
        }),
      "must be [rows, 1]",
    ],
    [
      "a missing head",
      () => fileOf((graph) => headsFrom(graph, item(graph), ["ctr", "like", "finish", "watch"])),
      'no output for head "cvr"',
    ],
    [
      "an output for all candidates together",
      () =>
        fileOf((graph) => {
          const mean = graph.node("ReduceMean", [item(graph)], { axes: [0] });
          headsFrom(graph, mean);
        }),
      'output "ctr" gave 1 numbers for 3 candidates, not 3 x 1',
    ],
    [
      "a logit in place of a probability",
      () =>
        fileOf((graph) => {
          const two = graph.node("Add", [item(graph), graph.scalar(2)]);
          const rows = graph.reshape(two, [-1]);
          for (const { name } of feed.heads) graph.output(rows, name, ["n"]);
        }),
      'head "ctr" gave 2; it must be a probability (add a sigmoid)',
    ],
    [
      "a note of an input that is not there",
      noted({ inputs: [{ name: "y", features: ["item.vectorScore"] }] }),
      'the note describes "y", which is not among its inputs',
    ],
    [
      "a note of an unknown feature",
      noted({ inputs: [{ name: "item.vectorScore", features: ["item.nothing"] }] }),
      "the note names unknown features: item.nothing",
    ],
    [
      "a note of an unknown head",
      noted({ outputs: [{ name: "ctr", heads: ["share"] }] }),
      "the note names unknown heads: share",
    ],
    [
      "a note without a place for a field",
      () => {
        const path = noted({})();
        writeFileSync(`${path}.json`, '{"inputs": [{"name": 5}], "outputs": []}');
        return path;
      },
      "inputs[0].name must be a string",
    ],
    [
      "a note that is no JSON",
      () => {
        const path = noted({})();
        writeFileSync(`${path}.json`, "{");
        return path;
      },
      "is no JSON",
    ],
    ["a file that is not there", () => join(folder, "none.onnx"), "cannot be read"],
  ];
  test.each(cases)("%s", (_name, make, message) => {
    const error = refusal(make());
    expect(error.message).toContain(message);
    expect(error.code).toMatch(/^REC_ONNX_/);
    expect(error.fix ?? "").not.toBe("");
  });

  test("a file that was cut, and one of something else", () => {
    const whole = readFileSync(golden);
    for (const bytes of [whole.subarray(0, whole.length / 2), Buffer.from("GIF89a")]) {
      const path = join(folder, `cut${bytes.length}.onnx`);
      writeFileSync(path, bytes);
      const error = refusal(path);
      expect(error.code).toBe("REC_ONNX_FILE");
      expect(error.message).toContain("is no model that can be run");
      expect(error.fix).toContain("onnx.checker");
    }
  });
});

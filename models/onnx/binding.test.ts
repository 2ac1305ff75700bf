import { expect, test } from "bun:test";
import feed from "../definition/default.ts";
import { bindOnnx, type OnnxPort } from "./binding.ts";

const heads = feed.heads.map(({ name }) => ({ name, type: "float32", dimensions: ["n"] }));
const options = { definition: feed, note: null, path: "model.onnx" };

function bind(inputs: readonly OnnxPort[], outputs: readonly OnnxPort[] = heads) {
  return bindOnnx({ inputs, outputs }, options);
}

test("a block is bound whole, a feature by its place", () => {
  const { inputs, outputs } = bind([
    { name: "item_embedding", type: "float32", dimensions: ["n", 16] },
    { name: "user.1h.impressionCount", type: "float32", dimensions: ["users"] },
  ]);
  expect(inputs[0]).toMatchObject({ whole: "item_embedding", once: false, rank: 2 });
  expect(inputs[1]).toMatchObject({ once: true, rank: 1 });
  expect(inputs[1]?.columns).toEqual([{ block: "user_dense", column: 0 }]);
  expect(outputs.map((output) => output.heads)).toEqual(heads.map((_, h) => [h]));
});

test("types other than fp32 are refused, and every fault is told at once", () => {
  const wrong = [
    { name: "item_dense", type: "float16", dimensions: ["n", 3] },
    { name: "item.id", type: "int64", dimensions: ["n"] },
  ];
  const mixed = heads.map((head, h) => (h === 0 ? { ...head, type: "float64" } : head));
  const refused = () => bind(wrong, mixed);
  expect(refused).toThrow('input "item_dense" (float16 [n, 3]) must be float32');
  expect(refused).toThrow('input "item.id" (int64 [n]) must be float32');
  expect(refused).toThrow('output "ctr" (float64 [n]) must be float32');
  expect(() => bind([])).toThrow("it has no inputs");
});

test("a head with two outputs is refused", () => {
  const input = { name: "item.vectorScore", type: "float32", dimensions: ["n"] };
  expect(() => bind([input], [...heads, heads[0]!])).toThrow("a head has two outputs");
});

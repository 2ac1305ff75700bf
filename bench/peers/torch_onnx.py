"""A small ranker from PyTorch as an ONNX file, as somebody else would bring one.

Argument: a folder. Writes torch-ranker.onnx, its note torch-ranker.onnx.json, and
torch-ranker.expected.json: rows of made-up features and what PyTorch answers for them. The golden
files of workers/ranking/onnx/testing/ were made by it. Needs torch, onnx and onnxscript.
"""
import json
import sys
from pathlib import Path

import onnx
import torch
from torch import nn

folder = Path(sys.argv[1])
torch.manual_seed(20261121)

columns = ["item.total.watchMean", "userCategory.total.clickRate", "user.recent50.clickShare"]
heads = ["like", "finish", "cvr"]


class Ranker(nn.Module):
    """Two features by their own names, three in one matrix that the note describes."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(5)
        self.body = nn.Sequential(nn.Linear(5, 12), nn.GELU(), nn.LayerNorm(12))
        self.gate = nn.Linear(5, 12)
        self.ctr = nn.Linear(12, 1)
        self.rest = nn.Linear(12, len(heads))
        self.watch = nn.Linear(12, 1)

    def forward(self, user_rate, item_rate, x):
        joined = self.norm(torch.cat([user_rate.unsqueeze(1), item_rate, x], dim=1))
        body = self.body(joined) * torch.sigmoid(self.gate(joined))
        watch = torch.expm1(torch.clamp(self.watch(body), 0, 8))
        return torch.sigmoid(self.ctr(body)), torch.sigmoid(self.rest(body)), watch.squeeze(1)


model = Ranker()
with torch.no_grad():
    model.norm.running_mean.copy_(torch.tensor([-2.0, -2.0, 3.0, -2.0, 0.2]))
    model.norm.running_var.copy_(torch.tensor([1.0, 0.5, 20.0, 1.0, 0.1]))
model.eval()

rows = 7
inputs = (torch.randn(rows) - 2, torch.randn(rows, 1) - 2, torch.randn(rows, len(columns)))
names = ["user.total.clickRate", "item.total.clickRate", "x"]
path = folder / "torch-ranker.onnx"
free = torch.export.Dim("rows")
torch.onnx.export(
    model,
    inputs,
    path,
    input_names=names,
    output_names=["ctr", "rest", "watch"],
    dynamic_shapes=({0: free}, {0: free}, {0: free}),
    dynamo=True,
    external_data=False,
    opset_version=18,
)

# The exporter writes stack traces, with paths of the machine that it runs on, into every node.
file = onnx.load(path)
for part in [file, file.graph, *file.graph.node, *file.graph.value_info, *file.graph.initializer]:
    part.ClearField("doc_string")
    part.ClearField("metadata_props")
onnx.checker.check_model(file)
onnx.save(file, path)

note = {
    "inputs": [{"name": "x", "features": columns}],
    "outputs": [{"name": "rest", "heads": heads}],
}
(folder / "torch-ranker.onnx.json").write_text(json.dumps(note, indent=2) + "\n")

with torch.no_grad():
    ctr, rest, watch = model(*inputs)
features = torch.cat([inputs[0].unsqueeze(1), inputs[1], inputs[2]], dim=1)
expected = {
    "features": names[:2] + columns,
    "rows": features.tolist(),
    "heads": ["ctr", *heads, "watch"],
    "answers": torch.cat([ctr, rest, watch.unsqueeze(1)], dim=1).tolist(),
}
(folder / "torch-ranker.expected.json").write_text(json.dumps(expected) + "\n")

"""The model of bench/ranking.ts, scored by PyTorch on one thread.

Argument: a folder with shape.json, the weights and, for each number of rows, the inputs. Every line
of standard input is JSON: {"form", "rows"} asks for the heads, with "ms" for a turn of so long,
answered with the microseconds of each call. Forms: "eager" has a module for each layer, as such
models are usually written; "batched" does experts and towers as batched products; "compiled" is
"batched" through torch.compile.
"""
import json
import sys
import time
from pathlib import Path

import numpy
import torch

torch.set_num_threads(1)
torch.set_num_interop_threads(1)
torch.set_grad_enabled(False)

folder = Path(sys.argv[1])
shape = json.loads((folder / "shape.json").read_text())
heads, experts, columns = shape["heads"], shape["experts"], shape["columns"]
first, last, tower = shape["first"], shape["last"], shape["tower"]
inputs, hidden = shape["user"] + shape["item"], experts * first


def column(name):
    return torch.from_numpy(numpy.fromfile(folder / name, dtype=numpy.float32))


weights = column("weights")


def block(at, *sizes):
    total = int(numpy.prod(sizes))
    return weights[at : at + total].view(*sizes)


one = block(shape["layerOne"], inputs, columns)
one_bias = block(shape["layerOneBias"], columns)
two = block(shape["expert"], experts, first + 1, last)
towers = block(shape["towers"], heads, last + 1, tower)
out = block(shape["output"], heads, tower + 16)
gates = heads * experts


def linear(matrix, bias):
    layer = torch.nn.Linear(matrix.shape[0], matrix.shape[1])
    layer.weight.copy_(matrix.t())
    layer.bias.copy_(bias)
    return layer


class Layers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        part = lambda at, width: linear(one[:, at : at + width], one_bias[at : at + width])
        every = torch.nn.ModuleList
        self.one = every([part(e * first, first) for e in range(experts)])
        self.two = every([linear(two[e, :first], two[e, first]) for e in range(experts)])
        self.gates = every([part(hidden + h * experts, experts) for h in range(heads)])
        self.skips = part(hidden + gates, heads)
        self.towers = every([linear(towers[h, :last], towers[h, last]) for h in range(heads)])
        self.out = every([linear(out[h, :tower].unsqueeze(1), out[h, tower]) for h in range(heads)])

    def forward(self, x):
        values = [torch.relu(b(torch.relu(a(x)))) for a, b in zip(self.one, self.two)]
        stacked = torch.stack(values, 1)
        skips = self.skips(x)
        answers = []
        for h in range(heads):
            share = torch.softmax(self.gates[h](x), 1).unsqueeze(2)
            mixed = (share * stacked).sum(1)
            logit = self.out[h](torch.relu(self.towers[h](mixed))).squeeze(1) + skips[:, h]
            answers.append(torch.sigmoid(logit))
        return torch.stack(answers)


class Batched(torch.nn.Module):
    def __init__(self):
        super().__init__()
        used = hidden + gates + heads
        keep = lambda values: torch.nn.Parameter(values.contiguous().clone())
        self.one, self.one_bias = keep(one[:, :used]), keep(one_bias[:used])
        self.two, self.two_bias = keep(two[:, :first]), keep(two[:, first:])
        self.towers, self.towers_bias = keep(towers[:, :last]), keep(towers[:, last:])
        self.out, self.out_bias = keep(out[:, :tower].unsqueeze(2)), keep(out[:, tower])

    def forward(self, x):
        y = torch.addmm(self.one_bias, x, self.one)
        h, share, skips = y.split([hidden, gates, heads], 1)
        h = torch.relu(h).view(-1, experts, first).transpose(0, 1)
        h = torch.relu(torch.baddbmm(self.two_bias, h, self.two)).transpose(0, 1)
        share = torch.softmax(share.view(-1, heads, experts), 2)
        mixed = torch.bmm(share, h).transpose(0, 1)
        t = torch.relu(torch.baddbmm(self.towers_bias, mixed, self.towers))
        return torch.sigmoid(torch.bmm(t, self.out).squeeze(2) + (self.out_bias + skips).t())


batched = Batched().eval()
forms = {
    "eager": Layers().eval(),
    "batched": batched,
    # Compiled anew for each number of rows: the best that it can do.
    "compiled": torch.compile(batched, dynamic=False),
}
known = {}


def joined(rows):
    """Every candidate with a copy of the user's inputs, made before anything is timed."""
    if rows not in known:
        user = column(f"user{rows}").view(1, shape["user"]).expand(rows, shape["user"])
        known[rows] = torch.cat([user, column(f"item{rows}").view(rows, shape["item"])], 1)
    return known[rows]


def turn(model, x, milliseconds):
    samples = []
    until = time.perf_counter() + milliseconds / 1e3
    while True:
        started = time.perf_counter()
        model(x)
        ended = time.perf_counter()
        samples.append((ended - started) * 1e6)
        if ended >= until:
            return {"us": samples}


def answer(request):
    model, x = forms[request["form"]], joined(request["rows"])
    if "ms" in request:
        return turn(model, x, request["ms"])
    return {"heads": model(x).flatten().tolist()}


print(json.dumps({"version": torch.__version__}), flush=True)
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)

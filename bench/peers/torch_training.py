"""The same MMoE as bench/training.ts, trained by PyTorch on one thread.

Argument: a folder with shape.json and the columns that it names. Every line of standard input is a
batch size: trains once over the stream from the same first weights and answers one line of JSON
with the seconds and the mean progressive log loss of each binary head.
"""
import json
import sys
import time
from pathlib import Path

import warnings

import numpy
import torch
from torch.nn import functional

# PyTorch tells at every start how its sparse tensors are checked.
warnings.filterwarnings("ignore", message="Sparse invariant")
torch.set_num_threads(1)
torch.set_num_interop_threads(1)

folder = Path(sys.argv[1])
shape = json.loads((folder / "shape.json").read_text())


def column(name, dtype=numpy.float32):
    return torch.from_numpy(numpy.fromfile(folder / name, dtype=dtype))


heads, experts, count = shape["heads"], shape["experts"], shape["count"]
first, last, tower = shape["first"], shape["last"], shape["tower"]
dense, vector = shape["dense"], shape["vector"]
user_rows = column("userRows", numpy.int32).long()
item_rows = column("itemRows", numpy.int32).long()
user_dense = column("userDense").view(count, dense)
item_dense = column("itemDense").view(count, dense)
labels = column("labels").view(count, heads)
labels[:, shape["watch"]] = torch.log1p(labels[:, shape["watch"]])
weights = column("weights")


def block(at, *sizes):
    total = int(numpy.prod(sizes))
    return weights[at : at + total].view(*sizes).clone()


class Mmoe(torch.nn.Module):
    """Layer one of all experts, gates and skips is one product; experts and towers are batched."""

    def __init__(self):
        super().__init__()
        inputs, columns = 2 * (dense + vector), shape["columns"]
        used = experts * first + heads * experts + heads
        parameter = torch.nn.Parameter
        self.users = torch.nn.Embedding(shape["users"], vector, sparse=True)
        self.items = torch.nn.Embedding(shape["items"], vector, sparse=True)
        torch.nn.init.zeros_(self.users.weight)
        torch.nn.init.zeros_(self.items.weight)
        self.one = parameter(block(shape["layerOne"], inputs, columns)[:, :used].contiguous())
        self.one_bias = parameter(block(shape["layerOneBias"], columns)[:used].clone())
        stack = block(shape["expert"], experts, first + 1, last)
        self.two = parameter(stack[:, :first].contiguous())
        self.two_bias = parameter(stack[:, first:].contiguous())
        stack = block(shape["towers"], heads, last + 1, tower)
        self.tower = parameter(stack[:, :last].contiguous())
        self.tower_bias = parameter(stack[:, last:].contiguous())
        out = block(shape["output"], heads, tower + 16)
        self.out = parameter(out[:, :tower].contiguous().unsqueeze(2))
        self.out_bias = parameter(out[:, tower].clone())

    def forward(self, users, items, user_values, item_values):
        x = torch.cat([user_values, self.users(users), item_values, self.items(items)], 1)
        y = torch.addmm(self.one_bias, x, self.one)
        hidden, gates, skips = y.split([experts * first, heads * experts, heads], 1)
        h = torch.relu(hidden).view(-1, experts, first).transpose(0, 1)
        h = torch.relu(torch.baddbmm(self.two_bias, h, self.two)).transpose(0, 1)
        gates = torch.softmax(gates.view(-1, heads, experts), 2)
        mixed = torch.bmm(gates, h).transpose(0, 1)
        t = torch.relu(torch.baddbmm(self.tower_bias, mixed, self.tower))
        return torch.bmm(t, self.out).squeeze(2).t() + self.out_bias + skips


def binary_losses(z, wanted):
    """Cross entropy a row of each binary head; the conversions' is of the product of both rates."""
    ctr, cvr = shape["ctr"], shape["cvr"]
    plain = functional.binary_cross_entropy_with_logits
    product = torch.clamp(torch.sigmoid(z[:, ctr]) * torch.sigmoid(z[:, cvr]), 1e-7, 1 - 1e-7)
    out = [plain(z[:, h], wanted[:, h], reduction="none") for h in shape["plain"]]
    return out + [functional.binary_cross_entropy(product, wanted[:, cvr], reduction="none")]


def run(batch):
    model = Mmoe()
    sparse = [model.users.weight, model.items.weight]
    flat = [p for p in model.parameters() if not any(p is one for one in sparse)]
    adam = torch.optim.Adam(flat, lr=1e-3, fused=True)
    adagrad = torch.optim.Adagrad(sparse, lr=shape["rowRate"], eps=shape["rowEpsilon"])
    total = torch.zeros(len(shape["plain"]) + 1, dtype=torch.float64)
    started = time.perf_counter()
    for at in range(0, count, batch):
        part = slice(at, min(count, at + batch))
        z = model(user_rows[part], item_rows[part], user_dense[part], item_dense[part])
        wanted = labels[part]
        losses = torch.stack(binary_losses(z, wanted))
        watch = functional.smooth_l1_loss(z[:, shape["watch"]], wanted[:, shape["watch"]], beta=0.5)
        total += losses.detach().sum(1)
        adam.zero_grad()
        adagrad.zero_grad()
        (losses.mean(1).sum() + watch).backward()
        torch.nn.utils.clip_grad_norm_(flat, 5.0)
        # A row's step must not depend on how many others share its batch.
        for table in sparse:
            table.grad = table.grad.coalesce() * (part.stop - part.start)
        adam.step()
        adagrad.step()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "logLosses": (total / count).tolist()}


print(json.dumps({"version": torch.__version__}), flush=True)
for line in sys.stdin:
    print(json.dumps(run(int(line))), flush=True)

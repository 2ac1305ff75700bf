"""A mixture of experts with, or without, what its user met last, in PyTorch.

    python torch_sequence.py FEATURES PREDICTIONS ARM

FEATURES is what bench/peers/torch-sequence.ts writes: one line of JSON, then little-endian float64
times (rows), float32 features (rows x columns, the user's first), float32 labels (rows x heads, NaN
where unknown), int32 users, items and categories (rows, -1 where there is none), and int32 recent
rows (rows x length, newest first, -1 where there are no more). The first `trained` rows are
learned, the others judged. Writes float32 predictions (seeds x heads x judged rows).

All arms are the same ranker (MMoE, Ma et al. 2018, with linear skips and uncertainty weights),
trained as models/training does: moments of the inputs, ids that each epoch learns anew by row-wise
Adagrad, AdamW, the mean of the last epochs. A sequence adds one vector to its inputs: the mean of
what was met, or its sum by the weights of an activation unit on [q, k, q * k] (DIN, Zhou et al.
2018; q - k would add nothing to a linear layer on q and k), as `weights` says with a softmax over
the sequence or, as in the paper, without. What was met is told by a key, the outcomes of that row,
its age and its place, which the unit sees too.

    none                no sequence
    mean                mean over keys of item id and category
    attention           attention over keys of item id and category
    attentionCategory   over keys of category alone
    attentionContent    over keys of the item's own features, as they were when it was met
"""

import json
import math
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional

torch.set_num_threads(1)

ROWS_JUDGED_AT_ONCE = 2048
HIDDEN = 36
CONTENT = 16


def read(path):
    with open(path, "rb") as file:
        head = json.loads(file.readline())
        rows = head["rows"]
        take = lambda kind, width: torch.from_numpy(
            np.frombuffer(file.read(rows * width * int(kind[2:])), kind).reshape(rows, width).copy()
        )
        data = {"times": take("<f8", 1)[:, 0], "features": take("<f4", head["columns"])}
        data["labels"] = take("<f4", len(head["heads"]))
        for name in ("users", "items", "categories"):
            data[name] = take("<i4", 1)[:, 0].long()
        data["recent"] = take("<i4", head["length"]).long()
    return head, data


def prepare(head, data):
    """Normalises by the training rows, and makes what a row tells of itself once it is past."""
    trained, features = head["trained"], data["features"]
    mean, deviation = features[:trained].mean(0), features[:trained].std(0).clamp(min=0.1**0.5)
    data["features"] = ((features - mean) / deviation).clamp(-4, 4)
    data["mean"], data["deviation"] = mean, deviation
    for h, one in enumerate(head["heads"]):
        if one["seconds"]:
            data["labels"][:, h] = torch.log1p(data["labels"][:, h])
    known = ~torch.isnan(data["labels"])
    data["outcomes"] = torch.cat([data["labels"].nan_to_num(), known.float()], 1)


def admitted(ids, trained, occurrences):
    """Ids met more than so often in training become 1, 2, ...; all others 0."""
    met = torch.bincount(ids[:trained].clamp(min=0) + 1, minlength=int(ids.max()) + 2)
    met[1] -= (ids[:trained] < 0).sum()
    kept = met[1:] > occurrences
    places = torch.cumsum(kept, 0) * kept
    return places[ids.clamp(min=0)] * (ids >= 0), int(kept.sum()) + 1


class IdTable:
    """Vectors of ids with row-wise Adagrad on summed gradients; row 0 stays zeros."""

    def __init__(self, rows, width, spread):
        self.shape, self.spread = (rows, width), spread
        self.forget()

    def forget(self):
        self.values = self.spread * torch.randn(self.shape)
        self.values[0] = 0
        self.values.requires_grad_()
        self.sums = torch.zeros(self.shape[0])

    def learn(self, rows):
        with torch.no_grad():
            g = self.values.grad * rows
            g[0] = 0
            self.sums += (g * g).mean(1)
            self.values -= 0.05 / (self.sums.sqrt() + 0.05).unsqueeze(1) * g
        self.values.grad = None


class Sequence(nn.Module):
    """What was met last as one vector; `keys`: of any rows."""

    def __init__(self, head, data, arm):
        super().__init__()
        self.head, self.data, self.arm = head, data, arm
        dim = head["dim"]
        self.uses_ids = arm in ("mean", "attention")
        self.uses_content = arm == "attentionContent"
        if self.uses_ids:
            self.items, size = admitted(data["items"], head["trained"], head["sequenceIds"])
            self.table = IdTable(size, dim, 0.05)
        if self.uses_content:
            self.content = nn.Linear(head["columns"] - head["userColumns"], CONTENT)
        else:
            categories = int(data["categories"].max()) + 2
            self.category = nn.Embedding(categories, dim)
            nn.init.normal_(self.category.weight, std=0.3)
        width = CONTENT if self.uses_content else dim * (1 + self.uses_ids)
        told = data["outcomes"].shape[1] + 2
        self.width = width + told
        if arm != "mean":
            self.of_query = nn.Linear(width, HIDDEN, bias=False)
            self.of_met = nn.Linear(2 * width + told, HIDDEN)
            self.score = nn.Sequential(nn.PReLU(), nn.Linear(HIDDEN, 1))
            nn.init.zeros_(self.score[1].weight)
            nn.init.ones_(self.score[1].bias)

    def keys(self, rows):
        if self.uses_content:
            features = self.data["features"].index_select(0, rows)
            return self.content(features[:, self.head["userColumns"] :])
        parts = [self.category(self.data["categories"][rows] + 1)]
        if self.uses_ids:
            parts.append(functional.embedding(self.items[rows], self.table.values))
        return torch.cat(parts, -1)

    def forward(self, rows):
        """rows x width. What was met lies in one list over all rows: absence costs nothing."""
        recent = self.data["recent"][rows]
        is_there = recent >= 0
        at, place = is_there.nonzero(as_tuple=True)
        past = recent[is_there]
        hours = (self.data["times"][rows[at]] - self.data["times"][past]) / 3.6e6
        ages = torch.stack([torch.log1p(hours).float() / 4, place / recent.shape[1]], 1)
        told = torch.cat([self.data["outcomes"].index_select(0, past), ages], 1)
        k = self.keys(past)
        if self.arm == "mean":
            weights = 1 / is_there.sum(1)[at]
        else:
            q = self.keys(rows)
            met = self.of_met(torch.cat([k, q.index_select(0, at) * k, told], 1))
            hidden = self.of_query(q).index_select(0, at) + met
            weights = self.weigh(self.score(hidden).squeeze(1), is_there)
        pooled = torch.zeros(len(rows), self.width)
        return pooled.index_add(0, at, weights.unsqueeze(1) * torch.cat([k, told], 1))

    def weigh(self, scores, is_there):
        if self.head["weights"] == "sum":
            return scores / is_there.shape[1]
        table = torch.full(is_there.shape, -1e9).masked_scatter(is_there, scores)
        return torch.softmax(table, 1)[is_there]


class Ranker(nn.Module):
    def __init__(self, head, data, arm):
        super().__init__()
        self.data = data
        ids = head["idColumns"]
        self.ids, self.tables = {}, []
        for name, admission in (("users", head["userIds"]), ("items", head["itemIds"])):
            rows, size = admitted(data[name], head["trained"], admission)
            self.ids[name] = (rows, IdTable(size, ids, 0.0))
            self.tables.append(self.ids[name][1])
        self.sequence = None if arm == "none" else Sequence(head, data, arm)
        if self.sequence is not None and self.sequence.uses_ids:
            self.tables.append(self.sequence.table)
        inputs = head["columns"] + 2 * ids + (self.sequence.width if self.sequence else 0)
        widths = [inputs, *head["expertLayers"]]
        self.experts = nn.ModuleList(layers(widths) for _ in range(head["experts"]))
        tower = [widths[-1], *head["towerLayers"]]
        self.gates = nn.ModuleList(nn.Linear(inputs, head["experts"]) for _ in head["heads"])
        self.towers = nn.ModuleList(layers(tower) for _ in head["heads"])
        self.outputs = nn.ModuleList(nn.Linear(tower[-1], 1) for _ in head["heads"])
        self.skips = nn.ModuleList(nn.Linear(inputs, 1) for _ in head["heads"])
        self.log_variances = nn.Parameter(torch.zeros(len(head["heads"])))
        self.start(head)

    def start(self, head):
        """As ours: nothing from the towers, skips on the rates (models/ranking/cold-start.ts)."""
        for part, scale in ((self.experts, 1), (self.gates, 0.1), (self.towers, 1)):
            for layer in part.modules():
                if isinstance(layer, nn.Linear):
                    nn.init.normal_(layer.weight, std=scale * math.sqrt(2 / layer.in_features))
                    nn.init.zeros_(layer.bias)
        for layer in (*self.outputs, *self.skips):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            for output, one in zip(self.outputs, head["heads"]):
                output.bias += one["firstLogit"]
            for one in head["firstSkips"]:
                at, skip = head["userColumns"] + one["itemInput"], self.skips[one["head"]]
                # Their weights are of inputs as they are before they are normalised.
                skip.weight[0, at] = one["weight"] * self.data["deviation"][at]
                skip.bias += one["weight"] * (self.data["mean"][at] - one["middle"])

    def forward(self, rows):
        parts = [self.data["features"][rows]]
        parts += [functional.embedding(ids[rows], t.values) for ids, t in self.ids.values()]
        if self.sequence is not None:
            parts.append(self.sequence(rows))
        x = torch.cat(parts, 1)
        experts = torch.stack([expert(x) for expert in self.experts], 1)
        logits = []
        for gate, tower, output, skip in zip(self.gates, self.towers, self.outputs, self.skips):
            mixed = (torch.softmax(gate(x), 1).unsqueeze(2) * experts).sum(1)
            logits.append((output(tower(mixed)) + skip(x)).squeeze(1))
        return torch.stack(logits, 1)


def layers(widths):
    pairs = zip(widths, widths[1:])
    return nn.Sequential(*[part for a, b in pairs for part in (nn.Linear(a, b), nn.ReLU())])


def loss_of(head, model, logits, labels):
    """Means over the batch; uncertainty weights (Kendall et al. 2018), clamped to +-2."""
    total = 0
    for h, one in enumerate(head["heads"]):
        known = ~torch.isnan(labels[:, h])
        z, y = logits[known, h], labels[known, h]
        if one["seconds"]:
            loss = functional.smooth_l1_loss(z, y, beta=0.1, reduction="sum")
        else:
            loss = functional.binary_cross_entropy_with_logits(z, y, reduction="sum")
        s = model.log_variances[h].clamp(-2, 2)
        total = total + torch.exp(-s) * loss / len(labels) + s / 2
    return total


def batches(times, size, shuffle):
    """Batches of whole moments of at least `size` rows, in their order or in a drawn one."""
    starts = np.flatnonzero(np.diff(times, prepend=-math.inf))
    moments = np.split(np.arange(len(times)), starts[1:])
    order = np.random.permutation(len(moments)) if shuffle else range(len(moments))
    waiting, count = [], 0
    for at in order:
        waiting.append(moments[at])
        count += len(moments[at])
        if count >= size:
            yield torch.from_numpy(np.concatenate(waiting))
            waiting, count = [], 0
    if count > 0:
        yield torch.from_numpy(np.concatenate(waiting))


def train(head, data, arm, seed):
    torch.manual_seed(seed)
    np.random.seed(seed)
    model = Ranker(head, data, arm)
    trained, epochs = head["trained"], head["epochs"]
    share = head["decay"] / math.sqrt(epochs * max(1, math.ceil(trained / head["batch"])))
    parameters = list(model.parameters())
    # Ours takes the share from a weight at each step, this one the rate times it.
    decay = share / head["rate"]
    adam = torch.optim.AdamW(parameters, lr=head["rate"], weight_decay=decay, fused=True)
    times = data["times"][:trained].numpy()
    averaged = min(head["average"], epochs)
    mean = [torch.zeros_like(p) for p in parameters]
    for epoch in range(epochs):
        for table in model.tables:
            table.forget()
        for rows in batches(times, head["batch"], epoch > 0):
            adam.zero_grad()
            loss_of(head, model, model(rows), data["labels"][rows]).backward()
            tables = [table.values for table in model.tables]
            nn.utils.clip_grad_norm_(parameters + tables, 5)
            adam.step()
            for table in model.tables:
                table.learn(len(rows))
        if epoch >= epochs - averaged:
            for sum_of, p in zip(mean, parameters):
                sum_of += p.detach() / averaged
    with torch.no_grad():
        for sum_of, p in zip(mean, parameters):
            p.copy_(sum_of)
    return model


def judge(head, model):
    """Predictions of the held rows, heads x rows."""
    rows = torch.arange(head["trained"], head["rows"])
    with torch.no_grad():
        logits = torch.cat([model(part) for part in rows.split(ROWS_JUDGED_AT_ONCE)])
    answers = [
        torch.expm1(z.clamp(min=0)) if one["seconds"] else torch.sigmoid(z)
        for one, z in zip(head["heads"], logits.t())
    ]
    return torch.stack(answers).numpy()


def main(features_path, predictions_path, arm):
    head, data = read(features_path)
    prepare(head, data)
    out = []
    for seed in range(head["seed"], head["seed"] + head["seeds"]):
        out.append(judge(head, train(head, data, arm, seed)))
        print(f"{arm}, seed {seed}: trained", flush=True)
    np.array(out, "<f4").tofile(predictions_path)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The rankers of models/ranking in PyTorch, written from their papers: MMoE (Ma et al. 2018), PLE
(Tang et al. 2020), ESMM's product loss (Ma et al. 2018), uncertainty weights (Kendall et al. 2018).

Arguments: a task (JSON, see models/training/testing/parity.ts) and where to put the answer: logits
and gradients of the first batch, the loss before each step, and the tensors after the last. In
double precision unless the task says `single`, with plain modules: one Linear for each expert layer, gate, tower and skip.
"""
import base64
import json
import math
import sys

import numpy
import torch
from torch.nn import functional

torch.set_num_threads(1)

task = json.loads(open(sys.argv[1]).read())
real = torch.float32 if task.get("precision") == "single" else torch.float64
torch.set_default_dtype(real)
shape = task["shape"]
heads = shape["heads"]
names = [head["name"] for head in heads]
given = [names.index(head["given"]) if "given" in head else -1 for head in heads]
seconds = [head["kind"] == "seconds" for head in heads]


def numbers(text):
    return numpy.frombuffer(base64.b64decode(text), dtype=numpy.float32)


def packed(tensor):
    values = tensor.detach().numpy().astype(numpy.float32)
    return base64.b64encode(values.tobytes()).decode()


class Linears(torch.nn.Module):
    """Linear layers, each with ReLU."""

    def __init__(self, widths):
        super().__init__()
        self.layer = torch.nn.ModuleList(
            torch.nn.Linear(a, b) for a, b in zip(widths, widths[1:])
        )

    def forward(self, x):
        for layer in self.layer:
            x = torch.relu(layer(x))
        return x


def mix(gate, x, experts):
    shares = torch.softmax(gate(x), dim=1)
    return sum(shares[:, i : i + 1] * expert for i, expert in enumerate(experts))


class Mmoe(torch.nn.Module):
    def __init__(self, inputs):
        super().__init__()
        layers = shape["expertLayers"]
        self.expert = torch.nn.ModuleList(
            Linears([inputs, *layers]) for _ in range(shape["experts"])
        )
        self.gate = torch.nn.ModuleList(torch.nn.Linear(inputs, shape["experts"]) for _ in heads)

    def forward(self, x):
        experts = [expert(x) for expert in self.expert]
        return [mix(gate, x, experts) for gate in self.gate]


class PleLevel(torch.nn.Module):
    """One extraction network; `inputs` and what it returns: one for each head, then the shared."""

    def __init__(self, width, is_last):
        super().__init__()
        own, shared = shape.get("headExperts", 1), shape["experts"]
        layers = shape["expertLayers"]
        count = len(heads) * own + shared
        self.own = own
        self.expert = torch.nn.ModuleList(Linears([width, *layers]) for _ in range(count))
        seen = [own + shared] * len(heads) + ([] if is_last else [count])
        self.gate = torch.nn.ModuleList(torch.nn.Linear(width, n) for n in seen)

    def forward(self, inputs):
        tasks = [
            [self.expert[h * self.own + i](inputs[h]) for i in range(self.own)]
            for h in range(len(heads))
        ]
        first_shared = len(heads) * self.own
        shared = [expert(inputs[-1]) for expert in self.expert[first_shared:]]
        every = [expert for task in tasks for expert in task] + shared
        return [
            mix(gate, inputs[g], tasks[g] + shared if g < len(heads) else every)
            for g, gate in enumerate(self.gate)
        ]


class Ranker(torch.nn.Module):
    def __init__(self):
        super().__init__()
        inputs = shape["userWidth"] + shape["userEmbedding"]
        inputs += shape["itemWidth"] + shape["itemEmbedding"]
        last = shape["expertLayers"][-1]
        levels = shape.get("levels", 2) if shape.get("model") == "ple" else 1
        self.is_ple = shape.get("model") == "ple"
        self.level = torch.nn.ModuleList(
            PleLevel(inputs if l == 0 else last, l == levels - 1) if self.is_ple else Mmoe(inputs)
            for l in range(levels)
        )
        towers = shape["towerLayers"]
        self.head = torch.nn.ModuleList()
        for _ in heads:
            parts = {"tower": Linears([last, *towers])}
            parts["output"] = torch.nn.Linear([last, *towers][-1], 1)
            if shape.get("skip", True):
                parts["skip"] = torch.nn.Linear(inputs, 1)
            self.head.append(torch.nn.ModuleDict(parts))
        self.positionBias = torch.nn.Parameter(torch.zeros(shape["positions"], len(heads)))
        self.logVariances = torch.nn.Parameter(torch.zeros(1, len(heads)))

    def load(self, tensors):
        with torch.no_grad():
            left = set(tensors)
            for name, parameter in self.named_parameters():
                values = torch.tensor(numbers(tensors[name]), dtype=real)
                # A Linear holds outputs x inputs, a task inputs x outputs.
                turned = name.endswith(".weight")
                size = parameter.shape[::-1] if turned else parameter.shape
                values = values.view(*size)
                parameter.copy_(values.t() if turned else values)
                left.remove(name)
            assert not left, left

    def forward(self, x, positions):
        mixed = x
        if self.is_ple:
            mixed = [x] * (len(heads) + 1)
            for level in self.level:
                mixed = level(mixed)
        else:
            mixed = self.level[0](x)
        logits = []
        for h, parts in enumerate(self.head):
            z = parts["output"](parts["tower"](mixed[h]))
            if "skip" in parts:
                z = z + parts["skip"](x)
            z = z.squeeze(1)
            if given[h] < 0:
                place = torch.clamp(positions, max=shape["positions"] - 1)
                z = z + torch.where(place > 0, self.positionBias[place, h], torch.zeros(()))
            logits.append(z)
        return torch.stack(logits)


def head_losses(logits, labels, weights):
    """Weighted sums of each head; NaN labels are left out."""
    losses = []
    for h in range(len(heads)):
        known = ~torch.isnan(labels[h])
        y, z, w = labels[h][known], logits[h][known], weights[known]
        if seconds[h]:
            beta = 0.1 if heads[h].get("answer") == "middle" else 0.5
            loss = functional.smooth_l1_loss(z, y, beta=beta, reduction="none")
        elif given[h] < 0:
            loss = functional.binary_cross_entropy_with_logits(z, y, reduction="none")
        else:
            p = torch.sigmoid(z) * torch.sigmoid(logits[given[h]][known])
            loss = functional.binary_cross_entropy(p, y, reduction="none")
        losses.append((w * loss).sum())
    return torch.stack(losses)


class Moments:
    """Running mean and variance; starts as one observation of 0 with unit variance."""

    def __init__(self, width):
        self.count, self.mean, self.squares = 1.0, numpy.zeros(width), numpy.ones(width)

    def written(self):
        deviation = numpy.sqrt(numpy.maximum(self.squares / self.count, 0.1))
        mean = self.mean.astype(numpy.float32).astype(numpy.float64)
        return mean, (1 / deviation).astype(numpy.float32).astype(numpy.float64)

    def normalise(self, values):
        mean, scale = self.written()
        return torch.from_numpy(clipped(values, mean, scale)).to(real)

    def update(self, values):
        """Takes in a batch; by how much skips move in units before, and scale before over after."""
        mean, scale = self.written() if self.count > 1 else (0 * self.mean, 0 * self.mean + 1)
        rows = len(values)
        off = values - self.mean
        if self.count >= 200:
            far = 10 * numpy.sqrt(self.squares / self.count)
            off = numpy.clip(off, -far, far)
        total = off.sum(0)
        self.squares = self.squares + (off * off).sum(0) - total * total / (self.count + rows)
        self.mean = self.mean + total / (self.count + rows)
        self.count += rows
        next_mean, next_scale = self.written()
        ratio = scale / next_scale
        before, after = clipped(values, mean, scale), clipped(values, next_mean, next_scale)
        return before.mean(0) - ratio * after.mean(0), ratio


def clipped(values, mean, scale):
    return numpy.clip((values - mean) * scale, -4, 4)


class Table:
    """Embeddings with row-wise Adagrad; row -1 reads as zeros."""

    def __init__(self, values, width):
        self.values = torch.tensor(numbers(values), dtype=real).view(-1, max(width, 1))
        self.sums = torch.zeros(len(self.values))

    def gather(self, rows):
        out = self.values[rows.clamp(min=0)] * (rows >= 0).unsqueeze(1)
        return out.requires_grad_()

    def apply(self, rows, gradients, scale):
        for row in torch.unique(rows[rows >= 0]):
            g = gradients[rows == row].sum(0) * scale
            self.sums[row] += (g * g).mean()
            step = task["embedding"]["learningRate"]
            self.values[row] -= step / (self.sums[row].sqrt() + task["embedding"]["epsilon"]) * g


class Run:
    def __init__(self):
        self.model = Ranker()
        self.model.load(task["tensors"])
        self.users = Table(task["users"], shape["userEmbedding"])
        self.items = Table(task["items"], shape["itemEmbedding"])
        self.user_moments = Moments(shape["userWidth"])
        self.item_moments = Moments(shape["itemWidth"])
        options = task["adam"]
        self.adam = torch.optim.Adam(
            self.model.parameters(),
            lr=options["learningRate"],
            betas=(options["beta1"], options["beta2"]),
            eps=options["epsilon"],
        )
        warm = lambda step: min(1.0, (step + 1) / task["warmupSteps"])
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.adam, warm)
        samples = task["samples"]
        count = samples["count"]
        self.user_rows = torch.tensor(samples["userRows"])
        self.item_rows = torch.tensor(samples["itemRows"])
        self.positions = torch.tensor(samples["positions"])
        as_double = lambda name: numbers(samples[name]).astype(numpy.float64)
        self.weights = torch.from_numpy(as_double("weights")).to(real)
        self.labels = torch.from_numpy(as_double("labels").reshape(count, len(heads))).to(real)
        for h, is_seconds in enumerate(seconds):
            if is_seconds:
                self.labels[:, h] = torch.log1p(self.labels[:, h])
        self.user_dense = as_double("userDense").reshape(count, shape["userWidth"])
        self.item_dense = as_double("itemDense").reshape(count, shape["itemWidth"])

    def step(self, part):
        """Forward, backward and step on one batch; logits, gradients and loss before the step."""
        rows = part.stop - part.start
        users = self.users.gather(self.user_rows[part])
        items = self.items.gather(self.item_rows[part])
        dense = [self.user_dense[part], self.item_dense[part]]
        normal = [self.user_moments.normalise(dense[0]), self.item_moments.normalise(dense[1])]
        columns = [normal[0], users[:, : shape["userEmbedding"]]]
        columns += [normal[1], items[:, : shape["itemEmbedding"]]]
        logits = self.model(torch.cat(columns, 1), self.positions[part])
        losses = head_losses(logits, self.labels[part].t(), self.weights[part] / rows)
        total = (losses * torch.tensor(task["lossWeights"])).sum() if isinstance(
            task["lossWeights"], list
        ) else self.uncertain(losses)
        self.adam.zero_grad()
        total.backward()
        gradients = self.gradients()
        scale = self.clip()
        self.adam.step()
        self.schedule.step()
        with torch.no_grad():
            self.users.apply(self.user_rows[part], users.grad, scale * rows)
            self.items.apply(self.item_rows[part], items.grad, scale * rows)
        moved = [self.user_moments.update(dense[0]), self.item_moments.update(dense[1])]
        self.express_anew(moved)
        vectors = {"userVectors": packed(users.grad), "itemVectors": packed(items.grad)}
        return {"logits": packed(logits), "gradients": gradients, **vectors}, losses.sum().item()

    def express_anew(self, moved):
        """What a linear skip says of an input does not change when moments do."""
        starts = [0, shape["userWidth"] + shape["userEmbedding"]]
        for parts in self.model.head:
            if "skip" not in parts:
                continue
            with torch.no_grad():
                weight, bias = parts["skip"].weight[0], parts["skip"].bias
                for at, (by, ratio) in zip(starts, moved):
                    of = weight[at : at + len(by)]
                    bias += (of * torch.from_numpy(by)).sum()
                    of *= torch.from_numpy(ratio)

    def uncertain(self, losses):
        s = self.model.logVariances
        with torch.no_grad():
            s.clamp_(-2, 2)
        return (torch.exp(-s[0]) * losses + s[0] / 2).sum()

    def tensors(self, of):
        return {
            name: packed(of(p).t().contiguous() if name.endswith(".weight") else of(p))
            for name, p in self.model.named_parameters()
        }

    def gradients(self):
        return self.tensors(lambda p: torch.zeros_like(p) if p.grad is None else p.grad)

    def clip(self):
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = math.sqrt(sum(float((g * g).sum()) for g in gradients))
        scale = min(1.0, task["clipNorm"] / max(norm, 1e-12))
        for g in gradients:
            g *= scale
        return scale


run = Run()
curve = []
answer = None
for k in range(task["steps"]):
    first, loss = run.step(slice(k * task["batch"], (k + 1) * task["batch"]))
    answer = answer or first
    curve.append(loss)
after = run.tensors(lambda p: p)
with open(sys.argv[2], "w") as file:
    file.write(json.dumps({"torch": torch.__version__, **answer, "losses": curve, "after": after}))

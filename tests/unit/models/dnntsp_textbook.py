"""DNNTSP user by user in plain loops, written from its formulas, and a case worked by hand."""

import math
from fractions import Fraction

import torch
from basket_batches import golden, load, some_users
from torch.nn import functional

from erase_ray.models import MODELS, Shape

CLS = MODELS.get("dnntsp")
NUM_ITEMS = 9
HISTORIES, TARGETS = some_users(5, NUM_ITEMS, 6, seed=3)
EPS, MOMENTUM = 1e-5, 0.1


def make(num_items=NUM_ITEMS, **settings):
    settings = {"embedding_size": 4, "num_heads": 2, "max_history": 8} | settings
    model = CLS(CLS.Settings(**settings), Shape(9, num_items)).double()
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():  # far from the initial weights, where nearly all is linear
        for name, weight in model.named_parameters():
            weight.copy_(torch.randn(weight.shape, generator=rng) * 0.7)
            if name == "gate":
                weight.sigmoid_()
        for norm in model.norms:
            norm.running_mean.copy_(torch.randn(norm.running_mean.shape, generator=rng) / 3)
            norm.running_var.copy_(torch.rand(norm.running_var.shape, generator=rng) + 0.5)
    return model


# ---- the formulas, one user, one step, one pair at a time ---------------------------------------


def counted(history):
    """Nodes, and how many baskets hold both of two; 1 on the diagonal."""
    nodes = sorted({item for basket in history for item in basket})
    counts = [[1.0] * len(nodes) for _ in nodes]
    for a, i in enumerate(nodes):
        for b, j in enumerate(nodes):
            if a != b:
                counts[a][b] = float(sum(i in basket and j in basket for basket in history))
    return nodes, counts


def linked(history, longest):
    """Nodes and a matrix for each step, identities behind the history."""
    nodes, counts = counted(history)
    most = max(max(row) for row in counts)
    steps = []
    for basket in history:
        matrix = torch.zeros(len(nodes), len(nodes), dtype=torch.float64)
        for a, i in enumerate(nodes):
            for b, j in enumerate(nodes):
                if a == b or (i in basket and j in basket):
                    matrix[a, b] = counts[a][b] / most
        steps.append(matrix)
    steps += [torch.eye(len(nodes), dtype=torch.float64)] * (longest - len(history))
    return nodes, torch.stack(steps)


def convolved(model, histories, training, pads):
    """Nodes and vectors by step, shape ``(T, N, D)``, of each user; moves running statistics."""
    longest = max(len(history) for history in histories)
    graphs = [linked(history, longest if pads else len(history)) for history in histories]
    vectors = [
        model.item_embedding.weight[nodes].expand(len(steps), -1, -1) for nodes, steps in graphs
    ]
    for linear, norm in zip(model.convolutions, model.norms, strict=True):
        vectors = [linear(steps @ x) for (_, steps), x in zip(graphs, vectors, strict=True)]
        mean, variance = norm.running_mean, norm.running_var
        if training and not (pads and longest == 1):
            every = torch.cat([x.flatten(0, 1) for x in vectors])
            mean = every.mean(0)
            variance = ((every - mean) ** 2).mean(0)
            unbiased = every.var(0, correction=1).detach()
            norm.running_mean.mul_(1 - MOMENTUM).add_(MOMENTUM * mean.detach())
            norm.running_var.mul_(1 - MOMENTUM).add_(MOMENTUM * unbiased)
        vectors = [
            torch.relu((x - mean) / torch.sqrt(variance + EPS) * norm.weight + norm.bias)
            for x in vectors
        ]
    return [(nodes, x) for (nodes, _), x in zip(graphs, vectors, strict=True)]


def attended(model, x_TD):
    """The answer of each step of one node, shape ``(T, D)``."""
    heads, width = (
        model.settings.num_heads,
        model.settings.embedding_size // model.settings.num_heads,
    )
    answers = []
    for t in range(len(x_TD)):
        parts = []
        for head in range(heads):
            inside = slice(head * width, (head + 1) * width)
            query = (model.query.weight @ x_TD[t])[inside]
            keys = (x_TD[: t + 1] @ model.key.weight.T)[:, inside]
            values = (x_TD[: t + 1] @ model.value.weight.T)[:, inside]
            parts.append(torch.softmax(keys @ query / math.sqrt(width), 0) @ values)
        answers.append(torch.cat(parts))
    return torch.stack(answers)


def textbook_scores(model, histories, training=False, pads=False):
    rows = []
    for history, (nodes, x_TND) in zip(
        histories, convolved(model, histories, training, pads), strict=True
    ):
        table = list(model.item_embedding.weight)
        for n, item in enumerate(nodes):
            z_TD = attended(model, x_TND[: len(history), n])
            memory = sum((model.importance.weight[0] @ z) * z for z in z_TD)
            table[item] = (1 - model.gate[item]) * table[item] + model.gate[item] * memory
        rows.append(model.output(torch.stack(table))[:, 0])
    return torch.stack(rows)


def textbook_loss(model, histories, targets, training=False, pads=False):
    scores = textbook_scores(model, histories, training, pads)
    wanted = torch.zeros_like(scores)
    for row, target in zip(wanted, targets, strict=True):
        row[target] = 1
    return functional.binary_cross_entropy_with_logits(scores, wanted, reduction="none").mean(1)


# ---- worked out by hand -------------------------------------------------------------------------


def by_hand(**settings):
    case = golden("dnntsp")
    model = CLS(CLS.Settings(**case["settings"], **settings), Shape(1, case["num_items"])).double()
    load(model, case["weights"])
    return case, model.eval()


def numbers(fractions):
    return torch.tensor([float(Fraction(text)) for text in fractions], dtype=torch.float64)


def dense(graphs):
    """The matrix over rows in full."""
    num = len(graphs.item_R)
    return graphs.links.product(torch.eye(num, dtype=torch.float64))

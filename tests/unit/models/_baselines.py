"""Training rows and fitted baselines that several tests share."""

import torch

from erase_ray.models import MODELS, Shape
from erase_ray.models._baseline import Baseline, TrainingRows
from erase_ray.tasks._batches import BasketBatch, PairBatch, WindowBatch


def rows_of(users, items, sequences=None, times=None):
    """Training rows from lists, in the order of the table; steps count up in each sequence."""
    sequences = users if sequences is None else sequences
    steps = [sequences[:n].count(s) for n, s in enumerate(sequences)]
    times = list(range(len(items))) if times is None else times
    columns = (users, sequences, steps, items, times)
    return TrainingRows(*(torch.tensor(column, dtype=torch.int64) for column in columns))


def no_rows():
    return rows_of([], [])


def fitted(name, rows, num_items, num_users=5, **settings) -> Baseline:
    """A baseline in eval mode that has seen the rows."""
    kind = MODELS.get(name)
    model = kind(kind.Settings(**settings), Shape(num_users, num_items))
    assert isinstance(model, Baseline)
    model.reset(torch.Generator().manual_seed(1))
    if model.has_edges:
        model.set_edges(rows.user_N, rows.item_N)
    model.fit(rows)
    return model.eval()


def pairs(*users):
    return PairBatch(torch.tensor(users, dtype=torch.int64))


def windows(*lists, sequences=None):
    """Windows of the given items, padded with 0."""
    items = torch.zeros(len(lists), max(map(len, lists), default=0), dtype=torch.int64)
    for row, window in zip(items, lists, strict=True):
        row[: len(window)] = torch.tensor(window)
    sequences = [-1] * len(lists) if sequences is None else sequences
    lengths = torch.tensor([len(window) for window in lists])
    return WindowBatch(items, lengths, sequence_B=torch.tensor(sequences))


def histories(*people):
    """Baskets of the given people, each a list of lists of items."""
    baskets = [(owner, basket) for owner, person in enumerate(people) for basket in person]
    items = [(k, item) for k, (_, basket) in enumerate(baskets) for item in basket]
    return BasketBatch(
        torch.tensor([item for _, item in items]),
        torch.tensor([k for k, _ in items]),
        torch.tensor([owner for owner, _ in baskets]),
        torch.tensor([len(person) for person in people]),
    )


def random_rows(seed, num_users=30, num_items=17, num_rows=200):
    """Rows of users who have some items twice; the last user and the last item have none."""
    generator = torch.Generator().manual_seed(seed)
    user_N = torch.randint(num_users - 1, (num_rows,), generator=generator).sort().values
    # squares make low ids popular
    item_N = (torch.rand(num_rows, generator=generator) ** 2 * (num_items - 1)).long()
    return rows_of(user_N.tolist(), item_N.tolist())

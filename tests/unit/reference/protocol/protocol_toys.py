"""Tables small enough to work out what each defect makes of them."""

import numpy as np

from erase_ray.data.catalogue import Catalogue
from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.data.vocabulary import Vocabulary
from erase_ray.reference.protocol import ReferenceView
from erase_ray.scenarios import Chain, RequestSpec
from erase_ray.scenarios._view import Moment
from erase_ray.tasks import TASKS, Cut, Queries
from tests.conftest import CPU

CUT = Cut(50, CPU)
ORIGINAL, RETRAINED, UNLEARNED = (Moment(m, 4) for m in ("original", "retrained", "unlearned"))


def table(task: str, people: list[list[list[int]]], num_items: int) -> Prepared:
    """A dataset in which each of ``people`` is one sequence: steps, and the items of each."""
    steps = [
        (user, step, item)
        for user, history in enumerate(people)
        for step, items in enumerate(history)
        for item in items
    ]
    user, step, item = np.array(steps).T
    columns = {"user": user, "sequence": user, "step": step, "item": item, "time": step}
    interactions = Interactions.prepared(columns)
    names = tuple(str(number) for number in range(num_items))
    users = names[: len(people)]
    return Prepared(
        dataset="toy",
        task=task,
        interactions=interactions,
        split=TASKS.get(task)().split(interactions),
        vocabulary=Vocabulary(users, names[: interactions.num_items], users),
        catalogue=Catalogue(names[: interactions.num_items], {}),
    )


def singles(*histories: list[int]) -> list[list[list[int]]]:
    """People whose steps are one item each."""
    return [[[item] for item in history] for history in histories]


def asking(data: Prepared, *requests: list[int], poison: Interactions | None = None) -> Chain:
    """A chain of requests that name these rows; items of those rows are exposed."""
    full = data.interactions if poison is None else data.interactions.appended(poison)
    items_I = np.zeros(data.interactions.num_items, bool)
    specs = []
    for number, rows in enumerate(requests):
        named = np.array(rows)
        items_I[full.item[named]] = True
        specs.append(RequestSpec(number, np.unique(full.user[named]).astype(np.int64), named))
    probe = np.unique(np.concatenate([spec.users for spec in specs]))
    probes = probe if poison is None else np.arange(data.interactions.num_users)
    return Chain(tuple(specs), probes, items_I, poison, probes_all=poison is not None)


def view(data: Prepared, chain: Chain, *defects: str) -> ReferenceView:
    """The protocol with some defects."""
    return ReferenceView(data, chain, frozenset(defects))


def asked(queries: Queries) -> list[tuple[int, int]]:
    """User and row of each query."""
    return list(zip(queries.users.tolist(), queries.inputs.rows.tolist(), strict=True))


def relevant(queries: Queries) -> list[list[int]]:
    """What is right for each query."""
    return [queries.relevant.take(q, q + 1).values.tolist() for q in range(len(queries))]


def masked(queries: Queries) -> list[list[int]]:
    """What is not ranked for each query."""
    return [queries.masked.take(q, q + 1).values.tolist() for q in range(len(queries))]


def windows(queries: Queries) -> list[list[int]]:
    """The history of each session query."""
    batch = queries.inputs.inputs(queries.inputs.rows.new_tensor(range(len(queries))))
    rows = zip(batch.items_BL.tolist(), batch.length_B.tolist(), strict=True)
    return [items[:length] for items, length in rows]


def histories(examples) -> list[list[list[int]]]:
    """The baskets of each history."""
    batch = examples.inputs(examples.rows.new_tensor(range(len(examples))))
    found = []
    for example in range(len(examples)):
        baskets = (batch.owner_K == example).nonzero().flatten().tolist()
        found.append([batch.item_M[batch.basket_M == basket].tolist() for basket in baskets])
    return found

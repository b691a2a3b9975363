"""What every scenario must do, on the data of every task."""

import functools
import json
from collections.abc import Sequence

import numpy as np

from erase_ray.contract._candidate import Candidate
from erase_ray.contract._check import Check, expect
from erase_ray.contract._saying import SAYING
from erase_ray.contract.planted import CPU, SEED, planted, shuffle_generators
from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Part
from erase_ray.scenarios import Chain, Scenario
from erase_ray.tasks import TASKS, Cut

FEWEST = 4
"""Requests on planted data, so that every mark adds some."""
OTHER_SEED = SEED + 1


def tasks_of(candidate: Candidate, quick: bool) -> Sequence[str]:
    """The tasks on whose planted data chains are made."""
    names = TASKS.names()
    return names[:1] if quick else names


def makes_the_same_chain_again(candidate: Candidate, task: str) -> None:
    """Data and seed decide every request."""
    one, again = (make_chain(candidate, task, shuffled=number) for number in (1, 2))
    expect(
        one.hash == again.hash,
        "the same data and seed gave another chain: draw from erase_ray.seeds.numpy_generator("
        "seed, 'NAME') alone",
    )
    expect(
        one.hash != make_chain(candidate, task, seed=OTHER_SEED).hash,
        "another seed gave the same chain: intervals rest on seeds that ask otherwise",
    )


def requests_are_well_formed(candidate: Candidate, task: str) -> None:
    """Rows exist, no row is in two requests, people are those of the rows."""
    chain, data = make_chain(candidate, task), planted(task)
    table = with_fakes(data, chain)
    expect(
        len(chain) >= FEWEST,
        f"planted data must give {FEWEST} requests or more, got {len(chain)}; check with other "
        "settings (such as --set fraction=0.1)",
    )
    expect(chain.marks[-1] == len(chain), "the last mark must be the end of the chain")
    for place, request in enumerate(chain.requests):
        where = f"request {place}"
        expect(request.id == place, f"{where} calls itself {request.id}; ids are positions")
        for what, array in (("rows", request.rows), ("users", request.users)):
            expect(array.dtype == np.int64, f"{what} of {where} must be int64, got {array.dtype}")
            expect(len(array) > 0, f"{where} names no {what}")
            expect(bool(np.all(np.diff(array) > 0)), f"{what} of {where} must ascend")
        unknown = np.setdiff1d(request.rows, table.row)[:5].tolist()
        expect(not unknown, f"{where} names the rows {unknown}, which are not there")
        named = np.unique(table.user[request.rows])
        expect(
            named.tolist() == request.users.tolist(),
            f"{where} has rows of the people {named[:5].tolist()} and says users are "
            f"{request.users[:5].tolist()}",
        )
    rows = np.concatenate([request.rows for request in chain.requests])
    expect(len(np.unique(rows)) == len(rows), "a row is in two requests")


def says_what_is_measured(candidate: Candidate, task: str) -> None:
    """Items to expose, people to probe, fakes where it makes some."""
    chain, data = make_chain(candidate, task), planted(task)
    num_items = data.interactions.num_items
    expect(
        chain.items.dtype == bool and chain.items.shape == (num_items,),
        f"items must be bool, one for each of the {num_items} items, got {chain.items.dtype} of "
        f"shape {chain.items.shape}",
    )
    expect(
        bool(np.all(np.diff(chain.probe) > 0)) and bool((chain.probe >= 0).all()),
        "probe must be ascending ids of people",
    )
    poisons = candidate.cls.poisons
    expect(
        (chain.poison is not None) == poisons,
        f"poisons is {poisons}, and the chain has {'no ' if poisons else ''}fake rows",
    )


def leaves_the_data_alone(candidate: Candidate, task: str) -> None:
    """Nothing of what it was given is edited."""
    data = planted(task)
    before = _arrays(data)
    _build(candidate, task, SEED)
    after = _arrays(data)
    edited = [name for name in before if not np.array_equal(before[name], after[name])]
    expect(not edited, f"it edited {', '.join(edited)} in place; work on a copy")


def marks_do_not_depend_on_batches(candidate: Candidate, task: str) -> None:
    """Marks forget the same rows in batches of any size."""
    chains = [make_chain(candidate, task, batch=batch) for batch in (1, 3)]
    expect(
        len(chains[1]) < len(chains[0]),
        f"batch 3 gave {len(chains[1])} requests and batch 1 {len(chains[0])}: order and batch "
        "wishes with erase_ray.scenarios.served",
    )
    table = with_fakes(planted(task), chains[0])
    for mark in (1, 2, 3, 4):
        rows, batched = (chain.rows(chain.marks[mark - 1]) for chain in chains)
        expect(
            np.array_equal(rows, batched),
            f"mark {mark} forgets other rows where three wishes are served at once",
        )
        left = len(table.without(rows))
        expect(left + len(rows) == len(table), f"mark {mark} forgets rows that are not there")


def no_query_shows_what_is_forgotten(candidate: Candidate, task_name: str) -> None:
    """No query asks for, or is made from, what is forgotten or fake."""
    data, task = planted(task_name), TASKS.get(task_name)()
    chain = make_chain(candidate, task_name)
    table = with_fakes(data, chain)
    split = data.split.extended(len(table) - len(data.interactions))
    left, num_users = table.without(chain.rows()), data.interactions.num_users
    for part in (Part.VALID, Part.TEST):
        # the base model is selected on valid queries over all rows
        users = task.queries(table, split, part, Cut(10, CPU)).users
        expect(users.max() < num_users, "a fake is asked a query; fakes have training rows alone")
        rows = task.queries(left, split, part, Cut(10, CPU)).inputs.rows.numpy()
        expect(not np.isin(rows, chain.rows()).any(), "a query asks for a forgotten row")
    probes = task.probe(left, split, chain.probe, Cut(10, CPU))
    expect(bool(np.isin(probes.users, chain.probe).all()), "somebody is probed who is not in probe")
    expect(probes.users.max(initial=0) < num_users, "a fake is probed; probe real people")
    expect(left.row.max() < len(data.interactions), "fake rows are left at the end of the chain")


def make_chain(
    candidate: Candidate, task: str, seed: int = SEED, batch: int = 1, shuffled: int = 1
) -> Chain:
    """A chain on planted data; remembered."""
    settings = json.dumps(candidate.settings)
    return _chain(candidate.name, settings, task, seed, batch, shuffled)


@functools.lru_cache(256)
def _chain(name: str, settings: str, task: str, seed: int, batch: int, shuffled: int) -> Chain:
    shuffle_generators(shuffled)
    return _build(Candidate("scenario", name, json.loads(settings)), task, seed, batch=batch)


def _build(candidate: Candidate, task: str, seed: int, **options: int) -> Chain:
    data = planted(task)
    scenario: Scenario = candidate.make(task, **options)
    return scenario.build(data.interactions, data.split, data.catalogue, seed)


def with_fakes(data: Prepared, chain: Chain) -> Interactions:
    """The table, with the fake rows of the chain behind it."""
    real = data.interactions
    return real if chain.poison is None else real.appended(chain.poison)


def _arrays(data: Prepared) -> dict[str, np.ndarray]:
    """Copies of all that a scenario is given, by name."""
    flags = data.catalogue.categories.items()
    named = [*data.interactions.columns(), ("split", data.split.marks), *flags]
    return {name: array.copy() for name, array in named}


CHECKS: tuple[Check, ...] = (
    *SAYING,
    Check(
        "makes the same chain again",
        "Data and seed decide every request, and another seed asks otherwise.",
        makes_the_same_chain_again,
        tasks_of,
    ),
    Check(
        "requests are well formed",
        "Rows exist, none is in two requests, people are those of the rows.",
        requests_are_well_formed,
        tasks_of,
    ),
    Check(
        "says what is measured",
        "Items, people to probe and fakes have their shapes.",
        says_what_is_measured,
        tasks_of,
    ),
    Check(
        "leaves the data alone",
        "Nothing of what it was given is edited.",
        leaves_the_data_alone,
        tasks_of,
    ),
    Check(
        "marks do not depend on batches",
        "Marks forget the same rows in batches of any size.",
        marks_do_not_depend_on_batches,
        tasks_of,
    ),
    Check(
        "no query shows what is forgotten",
        "Queries and probes show neither forgotten nor fake rows.",
        no_query_shows_what_is_forgotten,
        tasks_of,
    ),
)

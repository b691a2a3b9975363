"""Does a chain of requests keep what it must: rows add up, and nothing forgotten is shown."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch

from erase_ray.data.prepared import Prepared
from erase_ray.errors import ScenarioError, SettingsError
from erase_ray.experiment.cell import Part, make_scenario
from erase_ray.experiment.data_checks import CUT, Check, judged
from erase_ray.scenarios import SCENARIOS, ChainView
from erase_ray.tasks import Queries
from erase_ray.tasks._batches import BasketBatch, PairBatch, WindowBatch

SENSITIVE = "sensitive"
_BLOCK = 4096


def usual_scenarios(prepared: Prepared) -> list[Part]:
    """A scenario of each kind that works without settings, and one for each category.

    The sensitive ones name about one row of ten thousand, and twenty rows at least.
    """
    fraction = min(0.5, max(1e-4, 20 / max(len(prepared.interactions), 1)))
    parts = []
    for category, items_I in sorted(prepared.catalogue.categories.items()):
        if items_I.any():
            settings = {"category": category, "fraction": fraction, "stop_rule": "reach"}
            parts.append(Part.resolved(SCENARIOS, SENSITIVE, settings))
    for name in SCENARIOS.names():
        try:
            parts.append(Part.resolved(SCENARIOS, name, {}))
        except SettingsError:  # it cannot do without settings
            continue
    return parts


def chain_checks(prepared: Prepared, scenario: Part, seed: int) -> Iterator[Check]:
    """The checks of one chain; a single skipped one if the scenario is impossible here."""
    built = make_scenario(scenario, prepared.task)
    title = f"{scenario.name}:{built.category}" if built.category else scenario.name
    try:
        chain = built.build(prepared.interactions, prepared.split, prepared.catalogue, seed)
    except ScenarioError as error:
        yield Check(f"{title}: requests", "skipped", str(error))
        return
    view = _View(prepared, chain)
    for name, judge in (
        ("each row is asked for once, by its owner", _requests),
        ("retained + removed = full at every mark", _sums),
        ("no test query shows a forgotten row", _test_queries),
        ("no probe shows a forgotten row", _probes),
    ):
        holds, figures = judge(view)
        yield judged(f"{title}: {name}", holds, figures)


class _View(ChainView):
    """The view of a chain, and what it must not show."""

    @cached_property
    def forgotten(self) -> np.ndarray:
        """Pairs of user and item, of which nothing is left."""
        table, left = self.interactions, self.cleaned
        named = np.isin(table.row, self.chain.rows(), assume_unique=True)
        pairs = np.unique(_pairs(table.user[named], table.item[named]))
        asked = np.isin(left.user, table.user[named])
        return np.setdiff1d(pairs, _pairs(left.user[asked], left.item[asked]))


def _pairs(user: np.ndarray, item: np.ndarray) -> np.ndarray:
    return user.astype(np.int64) << 32 | item.astype(np.int64)


def _requests(view: _View) -> tuple[bool, str]:
    chain, table = view.chain, view.interactions
    rows = np.concatenate([request.rows for request in chain.requests])
    inside = (rows >= 0) & (rows < len(table))
    twice = len(rows) - len(np.unique(rows))
    owners = [np.isin(table.user[r.rows[r.rows < len(table)]], r.users) for r in chain.requests]
    strangers = sum(int((~own).sum()) for own in owners)
    figures = (
        f"{len(chain):,} requests, {len(rows):,} rows, marks {', '.join(map(str, chain.marks))}"
    )
    faults = {
        "rows twice": twice,
        "rows of others": strangers,
        "rows that are not there": int((~inside).sum()),
        "requests without rows": sum(not len(request.rows) for request in chain.requests),
    }
    found = [f"{count:,} {what}" for what, count in faults.items() if count]
    return not found, ", ".join([figures, *found])


def _sums(view: _View) -> tuple[bool, str]:
    full, parts, holds = len(view.interactions), [], True
    before = np.zeros(0, np.int64)
    for served in view.chain.marks:
        removed = view.chain.rows(served)
        retained = view.interactions.without(removed)
        nested = bool(np.isin(before, removed).all())
        apart = not np.isin(removed, retained.row).any()
        holds = holds and nested and apart and len(retained) + len(removed) == full
        parts.append(f"{len(retained):,} + {len(removed):,}")
        before = removed
    return holds, f"{', '.join(parts)} of {full:,}"


def _test_queries(view: _View) -> tuple[bool, str]:
    queries = view.test_queries(CUT)
    fakes = int((queries.users >= view.data.interactions.num_users).sum())
    shown, targets = _leaks(view, queries)
    figures = f"{len(queries):,} queries, {shown:,} forgotten items shown, {targets:,} forgotten"
    figures += " targets" + (f", {fakes:,} queries of fakes" if view.chain.poison else "")
    return not (shown or targets or fakes), figures


def _probes(view: _View) -> tuple[bool, str]:
    queries = view.probe_queries(CUT)
    shown, targets = _leaks(view, queries)
    asked = len(view.chain.probe)
    figures = f"{len(queries):,} of {asked:,} users probed, {shown:,} forgotten items shown"
    return not (shown or targets), figures


def _leaks(view: _View, queries: Queries) -> tuple[int, int]:
    """Forgotten items in histories, masks or answers, and forgotten rows that are asked for."""
    named = view.chain.rows()
    targets = int(np.isin(queries.inputs.rows.numpy(), named).sum())
    askers = np.flatnonzero(np.isin(queries.users, view.forgotten >> 32))
    shown = 0
    for start in range(0, len(askers), _BLOCK):
        block = askers[start : start + _BLOCK]
        user_B, index = queries.users[block], torch.from_numpy(block)
        relevant, masked = queries.relevant.pick(block), queries.masked.pick(block)
        pairs = [_seen(queries.inputs.inputs(index), user_B)]
        pairs += [_pairs(user_B[csr.owners], csr.values) for csr in (relevant, masked)]
        shown += int(np.isin(np.concatenate(pairs), view.forgotten).sum())
    return shown, targets


def _seen(batch: PairBatch | WindowBatch | BasketBatch, user_B: np.ndarray) -> np.ndarray:
    """Pairs of user and item in the histories of a batch."""
    if isinstance(batch, WindowBatch):
        items_BL = batch.items_BL.numpy()
        own_BL = np.arange(items_BL.shape[1])[None, :] < batch.length_B.numpy()[:, None]
        return _pairs(np.repeat(user_B, batch.length_B.numpy()), items_BL[own_BL])
    if isinstance(batch, BasketBatch):
        owner_M = batch.owner_K[batch.basket_M].numpy()
        return _pairs(user_B[owner_M], batch.item_M.numpy())
    return np.zeros(0, np.int64)

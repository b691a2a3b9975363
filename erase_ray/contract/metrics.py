"""What every metric must do, whoever wrote it."""

import math
from collections.abc import Sequence

import numpy as np

from erase_ray.contract._candidate import Candidate
from erase_ray.contract._check import Check, NotApplicableError, expect
from erase_ray.contract._saying import SAYS_WHAT_IT_IS
from erase_ray.data.csr import Csr
from erase_ray.evaluation import measure
from erase_ray.metrics import Aggregate, Answers, Exposure, Metric

Kinds = Sequence[Metric | Aggregate]
NUM_ITEMS, DEPTH, MOST = 30, 12, 9
KS = (1, 5, 12)
BOUNDS = {"share": (0.0, 1.0), "items": (0.0, float(DEPTH)), "rank": (1.0, NUM_ITEMS + 1.0)}
"""Of the values, by unit, for made answers; other units have none."""
SEEDS = range(40)
"""Made answers that a metric is tried on."""


def made_answers(seed: int) -> Answers:
    """Up to eight answers of any form: short, empty, with nothing relevant."""
    rng = np.random.default_rng(seed)
    num_queries = int(rng.integers(0, MOST))
    ranked = np.array([rng.permutation(NUM_ITEMS)[:DEPTH] for _ in range(num_queries)], np.int32)
    ranked = ranked.reshape(num_queries, DEPTH)
    for row in ranked:
        row[rng.integers(0, 2 * DEPTH) :] = -1
    owners, values = rng.integers(0, max(num_queries, 1), (2, 4 * num_queries))
    values = rng.integers(0, NUM_ITEMS, len(values))
    exposure = np.stack([1 + NUM_ITEMS * rng.random(num_queries), rng.random(num_queries)])
    exposure[:, rng.random(num_queries) < 0.2] = math.nan
    return Answers(
        ranked,
        Csr.of_pairs(owners, values, num_queries),
        rng.random(NUM_ITEMS) < rng.random(),
        Exposure(*exposure.astype(np.float32)),
        rng.integers(0, 5, num_queries),
        np.arange(num_queries),
    )


def says_how_to_read_it(candidate: Candidate) -> None:
    """Unit, direction, and which answers it judges."""
    kind = candidate.cls
    expect(kind.better in ("up", "down"), f"better must be 'up' or 'down', got {kind.better!r}")
    expect(kind.asks in ("test", "probe"), f"asks must be 'test' or 'probe', got {kind.asks!r}")
    expect(
        isinstance(kind.unit, str) and bool(kind.unit),
        f"unit must be a word, such as {', '.join(BOUNDS)}; got {kind.unit!r}",
    )
    expect(issubclass(kind, (Metric, Aggregate)), "it must be a Metric or an Aggregate")


def values_keep_to_their_unit(kinds: Kinds, seed: int) -> None:
    """Within the bounds of the unit, or NaN."""
    for found in measure(made_answers(seed), kinds, KS):
        low, high = BOUNDS.get(found.unit, (-math.inf, math.inf))
        expect(
            math.isnan(found.value) or low <= found.value <= high,
            f"{found.metric} at {found.k} is {found.value:g}, and its unit '{found.unit}' goes "
            f"from {low:g} to {high:g}; name another unit or mend the number",
        )
        expect(0 <= found.n <= MOST, f"{found.metric} counts {found.n} of {MOST} queries")


def queries_have_numbers_of_their_own(kinds: Kinds, seed: int) -> None:
    """float64, one a query, from its own answer alone."""
    answers = made_answers(seed)
    for metric in kinds:
        if isinstance(metric, Metric):
            values_Q = metric.per_query(answers, 5)
            expect(
                values_Q.dtype == np.float64 and values_Q.shape == (len(answers),),
                f"per_query must give float64 of shape ({len(answers)},), got {values_Q.dtype} of "
                f"shape {values_Q.shape}",
            )
            alone = [answers.take(q, q + 1) for q in range(len(answers))]
            one_by_one = np.array([metric.per_query(one, 5)[0] for one in alone])
            expect(
                np.array_equal(values_Q, one_by_one, equal_nan=True),
                f"the number of a query depends on others: {values_Q.tolist()} together, "
                f"{one_by_one.tolist()} one by one; if that is meant, derive from Aggregate",
            )


def order_plays_no_part(kinds: Kinds, seed: int) -> None:
    """The same queries in another order have the same value, to the last bit."""
    answers = made_answers(seed)
    order = np.random.default_rng(seed).permutation(len(answers))
    pair = [measure(each, kinds, KS) for each in (answers, answers.pick(order))]
    for one, two in zip(*pair, strict=True):
        same = one.value == two.value or (math.isnan(one.value) and math.isnan(two.value))
        expect(
            same and vars(one) | {"value": 0} == vars(two) | {"value": 0},
            f"{one.metric} at {one.k} is {one.value!r} or {two.value!r}, by the order of queries",
        )


def summaries_can_be_merged(kinds: Kinds, seed: int, other: int) -> None:
    """In any order, and they keep their shape."""
    one, two = made_answers(seed), made_answers(other)
    for metric in kinds:
        if isinstance(metric, Aggregate):
            parts = [metric.summary(answers, 5) for answers in (one, two)]
            forth, back = metric.merged(*parts), metric.merged(*reversed(parts))
            expect(
                np.array_equal(forth, back, equal_nan=forth.dtype.kind == "f"),
                "merged(one, other) and merged(other, one) differ",
            )
            expect(
                forth.shape == parts[0].shape == parts[1].shape,
                f"summaries must have one shape, got {parts[0].shape}, {parts[1].shape} and, "
                f"merged, {forth.shape}",
            )


def is_repeatable(kinds: Kinds, seed: int) -> None:
    """The same answers have the same value, and are not edited."""
    answers = made_answers(seed)
    lists, items = answers.ranked_QK.copy(), answers.items_I.copy()
    one, again = (measure(answers, kinds, KS) for _ in range(2))
    expect(repr(one) == repr(again), f"judged twice: {one} and {again}")
    expect(
        np.array_equal(lists, answers.ranked_QK) and np.array_equal(items, answers.items_I),
        "it edited the answers in place; work on a copy",
    )


def _tried(rule: object, candidate: Candidate, aggregates: bool | None = None) -> None:
    kind = candidate.cls
    if aggregates is not None and issubclass(kind, Aggregate) != aggregates:
        raise NotApplicableError("an Aggregate" if issubclass(kind, Aggregate) else "a Metric")
    for seed in SEEDS:
        more = (seed + 1,) if aggregates else ()
        rule([kind()], seed, *more)  # pyright: ignore[reportCallIssue]


CHECKS: tuple[Check, ...] = (
    SAYS_WHAT_IT_IS,
    Check(
        "says how to read it",
        "Unit, direction and kind of queries are given.",
        says_how_to_read_it,
    ),
    Check(
        "values keep to their unit",
        "Values are within the bounds of their unit, or NaN.",
        lambda candidate: _tried(values_keep_to_their_unit, candidate),
    ),
    Check(
        "queries are judged one by one",
        "The number of a query depends on its own answer alone.",
        lambda candidate: _tried(queries_have_numbers_of_their_own, candidate, aggregates=False),
    ),
    Check(
        "order plays no part",
        "The same queries in another order have the same value.",
        lambda candidate: _tried(order_plays_no_part, candidate),
    ),
    Check(
        "summaries can be merged",
        "Tiles of answers are merged in any order.",
        lambda candidate: _tried(summaries_can_be_merged, candidate, aggregates=True),
    ),
    Check(
        "is repeatable",
        "The same answers have the same value, and are left alone.",
        lambda candidate: _tried(is_repeatable, candidate),
    ),
)

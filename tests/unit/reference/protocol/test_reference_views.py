"""What each defect makes of small tables, worked out by hand."""

import numpy as np
import pytest
import torch

from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part
from erase_ray.metrics import Measured
from erase_ray.models import MODELS, Shape
from erase_ray.reference.marks import ReferenceChain
from erase_ray.reference.tied_best import TiedBest
from erase_ray.scenarios import Chain, ChainView, RequestSpec
from erase_ray.scenarios._view import ANY
from tests.unit.reference.protocol.protocol_toys import (
    CUT,
    ORIGINAL,
    RETRAINED,
    UNLEARNED,
    asked,
    asking,
    masked,
    relevant,
    singles,
    table,
    view,
    windows,
)

# person 0 has parts of 8, 1 and 1 rows, person 1 of 3, 1 and 1
FILMS = table("cf", singles(list(range(10)), [0, 1, 2, 3, 4]), 10)
FORGETS_FILMS = asking(FILMS, [2, 9])
# of ten clicks seven are train targets, one is valid, the last is test
CLICKS = table("session_based", singles(list(range(10)), [5, 6, 7, 8]), 10)
FORGETS_CLICKS = asking(CLICKS, [3])


@pytest.mark.parametrize(
    ("num", "marks"),
    [
        (1, (1, 1, 1, 1)),
        (2, (1, 2, 2, 2)),
        (3, (1, 2, 3, 3)),
        (8, (3, 5, 7, 8)),
        (100, (26, 51, 76, 100)),
    ],
)
def test_marks(num, marks):
    requests = tuple(RequestSpec(n, np.array([n]), np.array([n])) for n in range(num))
    chain = Chain(requests, np.arange(num), np.ones(2, bool))
    assert ReferenceChain.of(chain).marks == marks
    assert ReferenceChain.of(chain).hash == chain.hash
    assert len(ReferenceChain.of(chain).merged(1).users) == marks[0]


@pytest.mark.parametrize("moment", [ORIGINAL, RETRAINED, UNLEARNED])
def test_without_defects_it_is_the_corrected_protocol(moment):
    for data, chain in ((FILMS, FORGETS_FILMS), (CLICKS, FORGETS_CLICKS)):
        plain, other = ChainView(data, chain), view(data, chain)
        assert other.moment(*moment) == ANY
        assert asked(other.test_queries(CUT, moment)) == asked(plain.test_queries(CUT))
        assert asked(other.probe_queries(CUT, moment)) == asked(plain.probe_queries(CUT))
        assert masked(other.probe_queries(CUT, moment)) == masked(plain.probe_queries(CUT))
        lesson = other.lesson(other.cleaned)
        assert lesson.interactions is other.cleaned
        assert lesson.split is other.split
        assert (other.best, other.leaks_edges, other.grouped) == (None, False, other.cleaned)
        assert other.probed_with("unlearned", 1, object()) == (1,)


def test_resplit_moves_test_rows():
    seen = view(FILMS, FORGETS_FILMS, "resplit")
    # of person 0 eight rows are left, the last of which is test now
    for moment in (RETRAINED, UNLEARNED):
        assert asked(seen.test_queries(CUT, moment)) == [(0, 8), (1, 14)]
    assert asked(seen.test_queries(CUT, ORIGINAL)) == [(0, 9), (1, 14)]
    assert asked(ChainView(FILMS, FORGETS_FILMS).test_queries(CUT)) == [(1, 14)]
    lesson = seen.lesson(seen.cleaned)
    assert lesson.split.of(lesson.interactions).tolist() == [0] * 6 + [1, 2, 0, 0, 0, 1, 2]
    everything = seen.lesson(seen.interactions)
    assert np.array_equal(everything.split.marks, FILMS.split.marks)


def test_unmasked_probes_may_show_what_is_known():
    assert masked(view(FILMS, FORGETS_FILMS).probe_queries(CUT, UNLEARNED)) == [
        [0, 1, 3, 4, 5, 6, 7, 8]
    ]
    seen = view(FILMS, FORGETS_FILMS, "unmasked_probes")
    assert masked(seen.probe_queries(CUT, UNLEARNED)) == [[]]


def test_original_on_everybody():
    seen = view(FILMS, FORGETS_FILMS, "original_on_everybody")
    assert seen.probe_queries(CUT, ORIGINAL).users.tolist() == [0, 1]
    assert seen.probe_queries(CUT, RETRAINED).users.tolist() == [0]
    assert seen.probed_at("original", 1).tolist() == [0, 1]
    assert seen.probed_at("unlearned", 1).tolist() == [0]


def test_stale_probes_wait_for_the_last_mark():
    seen = view(FILMS, FORGETS_FILMS, "stale_embeddings")
    kinds = {name: MODELS.get(name) for name in ("lightgcn", "bpr")}
    graph, plain = (kind(kind.Settings(), Shape(2, 10)) for kind in kinds.values())
    waits = [seen.probed_with("unlearned", mark, graph) for mark in (1, 2, 3, 4)]
    assert waits == [(), (), (), (1, 2, 3, 4)]
    assert seen.probed_with("original", 2, graph) == (2,)
    assert seen.probed_with("unlearned", 2, plain) == (2,)


def test_uncleaned_probes_hold_what_is_forgotten():
    seen = view(CLICKS, FORGETS_CLICKS, "uncleaned_probes")
    full = list(range(10))
    cleaned = [item for item in full if item != 3]
    for moment, history in ((ORIGINAL, full), (UNLEARNED, full), (RETRAINED, cleaned)):
        assert windows(seen.probe_queries(CUT, moment)) == [history]


def test_last_row_probes_ask_for_the_last_test_row():
    seen = view(CLICKS, FORGETS_CLICKS, "last_row_probes")
    probes = seen.probe_queries(CUT, UNLEARNED)
    assert asked(probes) == [(0, 9)]
    assert windows(probes) == [[0, 1, 2, 4, 5, 6, 7, 8]]
    assert relevant(probes) == [[]]


def fakes(data) -> Interactions:
    """One fake session of ten clicks behind the others."""
    real, ten = data.interactions, np.arange(10)
    who = np.full(10, real.num_users)
    return Interactions(
        *(column.astype(np.int32) for column in (who, who, ten, ten)),
        ten.astype(np.int64),
        len(real) + ten,
        real.num_users + 1,
        real.num_items,
        real.num_sequences + 1,
    )


def test_split_fakes_are_tested_until_they_are_gone():
    chain = asking(CLICKS, list(range(14, 24)), poison=fakes(CLICKS))
    corrected, seen = view(CLICKS, chain, "marks"), view(CLICKS, chain, "split_fakes")
    assert corrected.split.marks[14:].tolist() == [0] * 10
    assert seen.split.marks[14:].tolist() == [0] * 8 + [1, 2]
    assert asked(seen.test_queries(CUT, ORIGINAL)) == [(0, 9), (1, 13), (2, 23)]
    for moment in (RETRAINED, UNLEARNED):
        assert asked(seen.test_queries(CUT, moment)) == [(0, 9), (1, 13)]
    assert asked(corrected.test_queries(CUT, ORIGINAL)) == [(0, 9), (1, 13)]


def test_resplit_alone_leaves_fakes_in_training():
    chain = asking(CLICKS, list(range(14, 24)), poison=fakes(CLICKS))
    seen = view(CLICKS, chain, "resplit")
    assert seen.lesson(seen.interactions).split.marks[14:].tolist() == [0] * 10


def test_rounding_is_of_test_metrics():
    found = [Measured("recall", 10, 0.123456, "share", "up", 7)]
    seen = view(FILMS, FORGETS_FILMS, "rounding")
    assert [one.value for one in seen.reported("test", found)] == [0.1235]
    assert seen.reported("probe", found) is found
    assert view(FILMS, FORGETS_FILMS).reported("test", found) is found


@pytest.mark.parametrize(
    ("values", "best", "waited"),
    [([0.1, 0.2, 0.2], 2, 0), ([0.12341, 0.12339], 1, 0), ([0.2, 0.1, 0.1], 0, 2)],
)
def test_of_equal_epochs_the_last_is_best(values, best, waited):
    model = torch.nn.Linear(1, 1)
    picked = TiedBest(model)  # type: ignore
    for epoch, value in enumerate(values):
        picked.offer(epoch, value, is_last=False)
    assert (picked.epoch, picked.num_waited) == (best, waited)
    assert picked.has_waited(2) is False
    resumed = TiedBest(model)  # type: ignore
    resumed.resume(values, picked.kept)
    assert (resumed.epoch, resumed.num_waited, resumed.curve) == (best, waited, values)
    picked.num_waited = 3
    assert picked.has_waited(2)


def test_split_parts_of_toys():
    assert FILMS.split.marks.tolist() == [0] * 8 + [1, 2] + [0, 0, 0, 1, 2]
    assert (CLICKS.split.marks[:10] == Part.TRAIN).sum() == 8

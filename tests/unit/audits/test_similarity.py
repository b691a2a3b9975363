"""Divergences, distances and lists by hand; edges; blocks."""

import math

import numpy as np
import pytest
import torch
from audit_toys import Fixed, audit, by_name, lists, queries
from scipy import special

from erase_ray.audits._distance import distance
from erase_ray.audits._divergence import js, kl
from erase_ray.audits.similarity import Trio
from erase_ray.data.split import Part
from erase_ray.models import MODELS
from erase_ray.tasks import TASKS, Cut
from tests.conftest import CPU, make_model, planted, set_edges, trained_weights


class Toys:
    """Subjects of one mark whose models are tables of scores, made anew when asked for."""

    seed = 1

    def __init__(self, original, retrained, audited, asked, marks=(1,)):
        self.makers = {"original": original, "retrained": retrained, "audited": audited}
        self.asked, self.marks = asked, marks

    def original(self):
        return self.makers["original"]()

    def retrained(self, mark):
        return self.makers["retrained"]()

    def audited(self, mark):
        return self.makers["audited"]()

    def queries(self, mark):
        return self.asked


HALVES, SKEWED, ORIGINAL = np.log([[[1 / 2, 1 / 2]], [[1 / 4, 3 / 4]], [[1 / 8, 7 / 8]]])
KL = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
KL_ORIGINAL = 0.5 * math.log(4) + 0.5 * math.log(4 / 7)


def one_query():
    return queries(lists([0]))


def test_divergences_by_hand():
    p, q = torch.tensor(HALVES), torch.tensor(SKEWED)
    assert kl(p, q).item() == pytest.approx(KL)
    mean = np.array([3 / 8, 5 / 8])
    expected = sum(special.rel_entr(np.exp(each[0]), mean).sum() / 2 for each in (HALVES, SKEWED))
    assert js(p, q).item() == pytest.approx(expected)


def test_divergences_of_what_is_ruled_out():
    one = torch.tensor([[0.0, -math.inf]], dtype=torch.float64)
    half = torch.tensor(HALVES)
    assert kl(one, half).item() == pytest.approx(math.log(2))
    assert kl(half, one).item() == math.inf
    assert kl(one, one).item() == 0
    assert js(one, one.flip(1)).item() == pytest.approx(math.log(2))


def test_findings_by_hand():
    """Weights 0, 10 and 4: a distance of 4 to the retrained and 6 to the original, of 10."""
    subjects = Toys(
        lambda: Fixed(ORIGINAL, 10.0),
        lambda: Fixed(HALVES, 0.0),
        lambda: Fixed(SKEWED, 4.0),
        {"test": one_query(), "probe": one_query()},
    )
    found = by_name(audit("similarity").findings(subjects)[1])
    assert found["kl"] == found["kl.requesters"] == pytest.approx(KL, rel=1e-6)
    assert found["completeness"] == pytest.approx(1 - KL / KL_ORIGINAL, rel=1e-6)
    # equal scores in the order of ids against the other way round: 0 of 1, then 2 of 2
    assert found["rbo"] == pytest.approx(0.9)
    assert found["parameter_distance"] == pytest.approx(0.4)
    assert found["drift"] == pytest.approx(0.6)
    assert {"js", "js.requesters", "rbo.requesters", "completeness.requesters"} < set(found)


def test_the_retrained_model_is_like_itself_and_the_original_is_not_complete():
    same = Toys(
        *[lambda: Fixed(ORIGINAL, 2.0), *[lambda: Fixed(HALVES)] * 2], {"test": one_query()}
    )
    found = by_name(audit("similarity").findings(same)[1])
    assert found["rbo"] == pytest.approx(1)
    assert found["kl"] == found["js"] == found["parameter_distance"] == 0
    assert found["completeness"] == found["drift"] == 1
    nothing = Toys(
        *[lambda: Fixed(ORIGINAL, 2.0), lambda: Fixed(HALVES), lambda: Fixed(ORIGINAL, 2.0)],
        {"test": one_query()},
    )
    found = by_name(audit("similarity").findings(nothing)[1])
    assert found["completeness"] == found["drift"] == 0
    assert found["parameter_distance"] == 1


def test_nothing_to_divide_by_is_not_a_number():
    subjects = Toys(*[lambda: Fixed(HALVES)] * 3, {"test": one_query(), "probe": queries(lists())})
    found = by_name(audit("similarity").findings(subjects)[1])
    assert found["kl"] == 0
    for name in ("completeness", "parameter_distance", "drift", "kl.requesters", "rbo.requesters"):
        assert math.isnan(found[name])


def test_masked_items_play_no_part():
    """Without item 2, on which the models differ most, they are the first query's halves."""
    with_third = [np.c_[scores, [[value]]] for scores, value in ((HALVES, 50.0), (SKEWED, -9.0))]
    trio = Trio(*(Fixed(scores) for scores in (*with_third, np.c_[ORIGINAL, [[0.0]]])))
    found = by_name(audit("similarity").compare(trio, queries(lists([0]), lists([2]))))
    assert found["kl"] == pytest.approx(KL, rel=1e-6)
    assert found["rbo"] == pytest.approx(0.9)


def test_other_parameters_leave_distances_out_but_nothing_else():
    class Other(Fixed):
        def __init__(self, scores_UI):
            super().__init__(scores_UI)
            self.more = torch.nn.Parameter(torch.zeros(1))

    subjects = Toys(
        lambda: Fixed(ORIGINAL), lambda: Fixed(HALVES), lambda: Other(SKEWED), {"test": one_query()}
    )
    found = by_name(audit("similarity").findings(subjects)[1])
    assert set(found) == {"rbo", "kl", "js", "completeness"}
    assert math.isnan(distance(Fixed(HALVES), Other(HALVES)))


def test_distance_is_euclidean_over_all_parameters():
    one, other = (torch.nn.Linear(2, 1) for _ in range(2))
    with torch.no_grad():
        for weight, value in zip(
            [*one.parameters(), *other.parameters()], (0, 0, 2, 1), strict=True
        ):
            weight.fill_(value)
    assert distance(one, other) == pytest.approx(3)  # type: ignore


def test_blocks_do_not_matter():
    draws = np.random.default_rng(0)
    trio = Trio(*(Fixed(draws.normal(0, 3, (57, 40))) for _ in range(3)))
    asked = queries(lists(*[[0]] * 57), lists(*[draws.permutation(40)[:9].tolist()] * 57))
    whole = by_name(audit("similarity").compare(trio, asked))
    for size in (1, 10):
        parts = by_name(audit("similarity").compare(trio, asked, block_size=size))
        assert parts == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize(
    "name", ["bpr", "lightgcn", "gru4rec", "sets2sets", "ease", "top_personal"]
)
def test_real_models_in_blocks_and_against_themselves(name):
    data = planted(MODELS.get(name).task)
    model = make_model(name, data)
    model.load_state_dict(trained_weights(name))
    set_edges(model, data)
    task = TASKS.get(data.task)()
    asked = task.queries(data.interactions, data.split, Part.TEST, Cut(model.max_history, CPU))
    found = by_name(audit("similarity").compare(Trio(model, model, model), asked))
    assert found["rbo"] == pytest.approx(1)
    assert found["kl"] == 0
    assert found["js"] == pytest.approx(0, abs=1e-12)
    parts = by_name(audit("similarity").compare(Trio(model, model, model), asked, block_size=7))
    assert parts == pytest.approx(found, abs=1e-9, nan_ok=True)

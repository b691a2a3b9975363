"""Log-probabilities of what came next, on tables of scores."""

import numpy as np
import pytest
import torch
from audit_toys import Fixed, lists, pairs, queries
from scipy.special import log_softmax

from erase_ray.audits._observe import observe_examples, observe_queries
from erase_ray.errors import TrainingError
from erase_ray.models import MODELS
from erase_ray.tasks import TASKS, Cut
from erase_ray.tasks.next_basket import BasketExamples
from tests.conftest import CPU, make_model, planted, set_edges

SCORES = [[0.0, 1.0, 2.0], [5.0, 5.0, -3.0], [0.1, 0.2, 0.3]]


def test_log_softmax_of_the_target():
    found = observe_examples(Fixed(SCORES), pairs(3, [2, 0, 1]))
    assert found.dtype == np.float64
    expected = log_softmax(np.float32(SCORES).astype(float), axis=1)[[0, 1, 2], [2, 0, 1]]
    assert found == pytest.approx(expected, abs=1e-12)


def test_small_probabilities_keep_their_digits():
    """By hand: exp(-20) against 1, which float32 cannot add."""
    found = observe_examples(Fixed([[0.0, -20.0]] * 2), pairs(2, [0, 1]))
    rest = np.log1p(np.exp(-20))
    assert found == pytest.approx([-rest, -20 - rest], rel=1e-6)


def test_several_right_items_of_a_basket_count_by_their_mean_probability():
    """Shares 1/8, 3/8 and 4/8; the mean of the last two is 7/16."""
    examples = BasketExamples(
        rows=torch.tensor([1]),
        users=torch.tensor([0]),
        starts=torch.tensor([0]),
        lengths=torch.tensor([1]),
        item_R=torch.tensor([0, 1, 2]),
        row_R=torch.arange(3),
        offset_G=torch.tensor([0, 1, 3]),
    )

    class Baskets(Fixed):
        def scores(self, batch):
            return self.scores_UI

    model = Baskets(np.log([[1 / 8, 3 / 8, 4 / 8]]))
    assert observe_examples(model, examples) == pytest.approx([np.log(7 / 16)], rel=1e-6)


def test_a_query_asks_about_one_of_the_right_items_always_the_same():
    asked = queries(lists([0, 2], [1], []), lists([1], [1], [0]))
    found = observe_queries(Fixed(SCORES), asked)
    expected = log_softmax(np.float32(SCORES).astype(float), axis=1)
    assert min(abs(found[0] - expected[0, [0, 2]])) < 1e-12
    assert found[1] == pytest.approx(expected[1, 1])
    assert np.isnan(found[2])
    assert np.array_equal(found, observe_queries(Fixed(SCORES), asked), equal_nan=True)


def test_each_right_item_is_asked_about_by_some_queries():
    scores = np.tile(np.log([[0.1, 0.2, 0.7]]), (300, 1))
    found = observe_queries(Fixed(scores), queries(lists(*[[0, 1, 2]] * 300)))
    counts = [int(np.isclose(found, np.log(p), atol=1e-6).sum()) for p in (0.1, 0.2, 0.7)]
    assert sum(counts) == 300
    assert min(counts) > 100 - 5 * np.sqrt(300 * 2 / 9)


def test_blocks_do_not_matter_and_no_examples_give_nothing():
    model = Fixed(np.random.default_rng(0).normal(size=(7, 5)))
    examples = pairs(7, [0, 1, 2, 3, 4, 0, 1])
    whole = observe_examples(model, examples)
    assert np.array_equal(whole, observe_examples(model, examples, block_size=3))
    assert observe_examples(model, examples.take(torch.arange(0))).shape == (0,)


def test_the_model_is_in_its_mode_again():
    model = Fixed(SCORES)
    model.train()
    model.inner.eval()
    observe_examples(model, pairs(3, [0, 0, 0]))
    assert model.training
    assert not model.inner.training


def test_what_a_model_rules_out_has_no_probability():
    found = observe_examples(Fixed([[0.0, -np.inf], [0.0, 0.0]]), pairs(2, [1, 1]))
    assert found[0] == -np.inf
    assert found[1] == pytest.approx(np.log(0.5))


def test_scores_that_are_not_numbers_are_an_error():
    with pytest.raises(TrainingError, match="'fixed' gave scores that are not numbers"):
        observe_examples(Fixed([[0.0, np.nan]]), pairs(1, [0]))


@pytest.mark.parametrize("task_name", TASKS.names())
def test_targets_are_those_of_a_batch(task_name):
    data = planted(task_name)
    examples = TASKS.get(task_name)().examples(data.interactions, data.split, Cut(10, CPU))
    examples = examples.take(torch.arange(0, len(examples), 3))
    found, batch = examples.targets(), examples.batch(torch.arange(len(examples)), 0)
    assert len(found) == len(examples)
    if task_name == "next_basket":
        assert not examples.has_one_target
        assert found.values.tolist() == batch.target_T.tolist()
        assert found.owners.tolist() == batch.target_owner_T.tolist()
        return
    assert examples.has_one_target
    assert (found.lengths == 1).all()
    target = batch.item_B if task_name == "cf" else batch.target_B
    assert found.values.tolist() == target.tolist()


@pytest.mark.parametrize("name", ["gru4rec", "dnntsp", "lightgcn"])
def test_agrees_with_the_training_loss_or_the_scores_of_real_models(name):
    data = planted(MODELS.get(name).task)
    model = make_model(name, data)
    set_edges(model, data)
    cut = Cut(model.max_history, CPU)
    examples = TASKS.get(data.task)().examples(data.interactions, data.split, cut)
    examples = examples.take(torch.arange(20))
    found = observe_examples(model, examples)
    model.eval()
    with torch.no_grad():
        scores = model.scores(examples.inputs(torch.arange(20))).double().numpy()
    log_p, targets = log_softmax(scores, axis=1), examples.targets()
    for place in range(20):
        own = targets.take(place, place + 1).values
        expected = np.log(np.exp(log_p[place, own]).mean())
        assert found[place] == pytest.approx(expected, abs=1e-9)

import torch

from erase_ray.evaluation import top
from tests.unit.models._baselines import fitted, no_rows, pairs, rows_of


def make(seed=1, num_items=1000):
    model = fitted("random", no_rows(), num_items)
    model.reset(torch.Generator().manual_seed(seed))
    return model


def test_scores_depend_on_seed_user_and_item_alone():
    together = make().scores(pairs(3, 0, 3))
    assert torch.equal(together[0], together[2])
    assert not torch.equal(together[0], together[1])
    assert torch.equal(make().scores(pairs(0))[0], together[1])
    assert not torch.equal(make(seed=2).scores(pairs(0))[0], together[1])


def test_rows_do_not_matter():
    model = make()
    before = model.scores(pairs(0, 1))
    model.fit(rows_of([0, 1], [2, 3]))
    assert torch.equal(model.scores(pairs(0, 1)), before)


def test_scores_are_uniform_and_all_different():
    scores = make().scores(pairs(*range(200)))
    assert scores.min() >= 0
    assert scores.max() < 1
    assert len(scores.unique()) == scores.numel()
    # 200,000 draws: five standard errors of the mean, and of the share below a tenth
    assert abs(scores.mean() - 0.5) < 5 * (1 / 12 / scores.numel()) ** 0.5
    assert abs((scores < 0.1).double().mean() - 0.1) < 5 * (0.09 / scores.numel()) ** 0.5


def test_every_item_is_first_for_some_user():
    model = make(num_items=7)
    firsts = top(model.scores(pairs(*range(700))), 1).flatten()
    # five standard deviations of a binomial number around 100
    assert (torch.bincount(firsts, minlength=7) - 100).abs().max() < 5 * (700 / 7 * 6 / 7) ** 0.5

"""What every model must do."""

import torch

from erase_ray.models import MODELS
from erase_ray.tasks import TASKS


def test_serves_a_known_task(model_name):
    assert MODELS.get(model_name).task in TASKS.names()


def test_loss_is_one_finite_number_an_example(model, examples):
    batch = examples.batch(torch.arange(7), seed=3)
    loss_B = model.loss(batch)
    assert loss_B.shape == (7,)
    assert torch.isfinite(loss_B).all()


def test_loss_of_an_example_does_not_depend_on_its_neighbours(model, examples):
    model.eval()
    together = model.loss(examples.batch(torch.arange(6), seed=3))
    alone = torch.cat([model.loss(examples.batch(torch.tensor([i]), seed=3)) for i in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


def test_scores_rank_the_whole_catalogue(model, data, examples):
    model.eval()
    scores_BI = model.scores(examples.inputs(torch.arange(5)))
    assert scores_BI.shape == (5, data.interactions.num_items)
    assert torch.isfinite(scores_BI).all()


def test_scores_do_not_draw(model, examples):
    model.eval()
    inputs = examples.inputs(torch.arange(5))
    assert torch.equal(model.scores(inputs), model.scores(inputs))


def test_reset_is_a_function_of_the_generator(model):
    model.reset(torch.Generator().manual_seed(5))
    first = {name: value.clone() for name, value in model.named_parameters()}
    torch.rand(11)
    model.reset(torch.Generator().manual_seed(5))
    assert all(torch.equal(first[name], value) for name, value in model.named_parameters())
    model.reset(torch.Generator().manual_seed(6))
    assert not model.learns or any(
        not torch.equal(first[name], value) for name, value in model.named_parameters()
    )


def test_offers_are_its_own_parameters(model, data):
    own = dict(model.named_parameters())
    offers = (model.head_parameters(), model.user_tables(), model.item_tables())
    for offer in offers:
        assert all(own[name] is parameter for name, parameter in offer.items())
    assert bool(model.head_parameters()) == model.learns
    for table in model.user_tables().values():
        assert table.shape[0] == data.interactions.num_users
    for table in model.item_tables().values():
        assert table.shape[0] == data.interactions.num_items


def test_training_defaults_are_the_models_own(model_name):
    kind = MODELS.get(model_name)
    assert kind.training.select_metric in {"recall", "mrr", "ndcg", "hit"}

import math

import pytest
import torch
from model_checks import batch_norms, check_twice_differentiable
from pydantic import ValidationError

from erase_ray.models import MODELS, Shape
from erase_ray.tasks._batches import PairBatch

USERS, ITEMS = 6, 8


def make(users=USERS, items=ITEMS, with_edges=True, **settings):
    kind = MODELS.get("lightgcn")
    model = kind(kind.Settings(**settings), Shape(users, items))
    model.reset(torch.Generator().manual_seed(1))
    if with_edges:
        model.set_edges(*edges())
    return model


def edges():
    """Some pairs, the first two of them the same."""
    return torch.tensor([0, 0, 0, 1, 1, 2, 3, 4, 4]), torch.tensor([0, 0, 1, 1, 2, 3, 3, 4, 7])


def batch(*columns):
    return PairBatch(
        *(torch.tensor(column) for column in columns or ([0, 1, 4], [1, 2, 7], [5, 0, 3]))
    )


def everyone():
    return PairBatch(torch.arange(USERS))


def test_loss_by_hand():
    model = make(1, 2, with_edges=False, embedding_size=1, num_layers=1, penalty=0.5)
    model.set_edges(torch.tensor([0]), torch.tensor([0]))
    with torch.no_grad():
        model.user_embedding.weight.copy_(torch.tensor([[2.0]]))
        model.item_embedding.weight.copy_(torch.tensor([[4.0], [6.0]]))
    # after one layer the user and item 0 are both (2 + 4) / 2, item 1 is 6 / 2
    pair = math.log1p(math.exp(-(3 * 3 - 3 * 3)))
    penalty = 0.5 * (2**2 + 4**2 + 6**2) / 2
    loss_B = model.loss(batch([0], [0], [1]))
    torch.testing.assert_close(loss_B, torch.tensor([pair + penalty]))
    assert model.scores(PairBatch(torch.tensor([0]))).tolist() == [[9.0, 9.0]]


def dense_tables(model, user_E, item_E):
    """Users and items after propagation with a dense matrix in float64."""
    weight_UI = torch.zeros(USERS, ITEMS, dtype=torch.float64)
    weight_UI[user_E, item_E] = 1
    matrix_NN = torch.zeros(USERS + ITEMS, USERS + ITEMS, dtype=torch.float64)
    matrix_NN[:USERS, USERS:], matrix_NN[USERS:, :USERS] = weight_UI, weight_UI.T
    scale_N = (matrix_NN.sum(1) + 1e-7).rsqrt()
    matrix_NN = scale_N[:, None] * matrix_NN * scale_N
    tables = (model.user_embedding.weight, model.item_embedding.weight)
    ego_ND = torch.cat([each.detach().double() for each in tables])
    first_ND = matrix_NN @ ego_ND
    return ((ego_ND + first_ND + matrix_NN @ first_ND) / 3).split([USERS, ITEMS])


def test_scores_are_those_of_the_dense_formula():
    model = make()
    user_UD, item_ID = dense_tables(model, *edges())
    torch.testing.assert_close(model.scores(everyone()), (user_UD @ item_ID.T).float())


def test_loss_is_that_of_the_dense_formula():
    model, columns = make(penalty=0.0), batch()
    user_UD, item_ID = dense_tables(model, *edges())
    gap_BD = item_ID[columns.item_B] - item_ID[columns.negative_B]
    expected_B = -torch.log(torch.sigmoid((user_UD[columns.user_B] * gap_BD).sum(1)))
    torch.testing.assert_close(model.loss(columns), expected_B.float())


def test_penalty_norm_is_that_of_the_batch_shared_out():
    without, model = make(penalty=0.0), make(penalty=3.0, penalty_form="norm")
    columns = batch()
    norms = batch_norms(model, columns)
    extra_B = model.loss(columns) - without.loss(columns)
    torch.testing.assert_close(extra_B, (3.0 * sum(norms) / 3).expand(3), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(extra_B.mean(), 3.0 * sum(norms) / 3, rtol=1e-4, atol=1e-5)


def test_no_score_is_left_over_from_before():
    model = make()
    old = model.scores(everyone())
    with torch.no_grad():
        model.user_embedding.weight.mul_(2)
    assert not torch.equal(model.scores(everyone()), old)
    changed = model.scores(everyone())
    model.drop_edges(torch.tensor([1]), torch.tensor([1]))
    assert not torch.equal(model.scores(everyone()), changed)
    model.restore_edges(torch.tensor([1]), torch.tensor([1]))
    assert torch.equal(model.scores(everyone()), changed)
    model.set_edges(torch.tensor([5]), torch.tensor([5]))
    assert not torch.equal(model.scores(everyone()), changed)


def test_scoring_propagates_once_and_keeps_nothing(monkeypatch):
    model, calls = make(), []
    plain = type(model.graph).propagate

    def counted(self, *args):
        calls.append(1)
        return plain(self, *args)

    monkeypatch.setattr(type(model.graph), "propagate", counted)
    with torch.inference_mode(), model.scoring():
        first = model.scores(everyone())
        with model.scoring():
            model.scores(everyone())
        assert torch.equal(model.scores(everyone()), first)
        assert len(calls) == 1
        model.drop_edges(torch.tensor([1]), torch.tensor([1]))
        assert not torch.equal(model.scores(everyone()), first)
    assert len(calls) == 2
    with torch.no_grad():
        model.item_embedding.weight.add_(1)
    model.scores(everyone())
    assert len(calls) == 3


def test_scoring_keeps_nothing_after_an_error_either():
    model = make()

    def fail():
        with model.scoring():
            model.scores(everyone())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    old = model.scores(everyone())
    with torch.no_grad():
        model.item_embedding.weight.add_(1)
    assert not torch.equal(model.scores(everyone()), old)


def test_dropping_all_edges_of_a_user_equals_never_having_had_them():
    model, without = make(), make(with_edges=False)
    user_E, item_E = edges()
    gone_E = user_E == 0
    model.drop_edges(user_E[gone_E], item_E[gone_E])
    without.set_edges(user_E[~gone_E], item_E[~gone_E])
    assert torch.equal(model.scores(everyone()), without.scores(everyone()))
    assert torch.equal(model.loss(batch()), without.loss(batch()))


@pytest.mark.parametrize("form", ["squared", "norm"])
def test_loss_can_be_differentiated_twice(form):
    model = make(embedding_size=2, penalty=0.1, penalty_form=form).double()
    check_twice_differentiable(model, batch())


def test_autocast_changes_nothing_but_small_errors():
    model = make()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss_B = model.loss(batch())
    assert loss_B.dtype == torch.float32
    torch.testing.assert_close(loss_B, model.loss(batch()), rtol=0.01, atol=0.01)


def test_without_edges_it_says_what_to_do():
    model = make(with_edges=False)
    text = "model 'lightgcn' has no edges yet: call set_edges first"
    for call in (
        lambda: model.loss(batch()),
        lambda: model.scores(everyone()),
        lambda: model.drop_edges(*edges()),
    ):
        with pytest.raises(RuntimeError, match=text):
            call()


def test_edges_are_no_part_of_the_state():
    assert set(make().state_dict()) == {"user_embedding.weight", "item_embedding.weight"}
    assert list(make().head_parameters()) == ["user_embedding.weight"]


def test_initial_weights_are_xavier_uniform():
    model = make(3000, 1000, with_edges=False)
    for weight in model.parameters():
        bound = math.sqrt(6 / sum(weight.shape))
        assert 0.99 * bound < weight.abs().max() <= bound
        assert abs(weight.std().item() / (bound / math.sqrt(3)) - 1) < 0.02


def test_defaults_are_those_of_the_benchmark():
    kind = MODELS.get("lightgcn")
    settings, training = kind.Settings(), kind.training
    assert (settings.embedding_size, settings.num_layers, settings.penalty) == (64, 2, 1e-4)
    assert settings.penalty_form == "squared"
    assert (training.epochs, training.batch_size, training.patience) == (100, 2048, 10)
    assert (training.select_metric, training.select_k) == ("recall", 20)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("num_layers", 0, "greater than or equal to 1"),
        ("penalty", -1.0, "greater than or equal to 0"),
        ("penalty_form", "cubed", "should be 'squared' or 'norm'"),
    ],
)
def test_settings_have_bounds(key, value, text):
    with pytest.raises(ValidationError, match=text):
        MODELS.get("lightgcn").Settings(**{key: value})

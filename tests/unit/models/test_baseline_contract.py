"""What every baseline must do."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load, save

from erase_ray.data.split import Part
from erase_ray.evaluation import rank
from erase_ray.models import MODELS, Shape
from erase_ray.models._baseline import Baseline, TrainingRows
from erase_ray.tasks import TASKS, Cut
from tests.conftest import CPU, planted
from tests.unit.models._baselines import fitted, no_rows, pairs, random_rows

NAMES = [name for name in MODELS.names() if not MODELS.get(name).learns]
WITH_EDGES = [name for name in NAMES if MODELS.get(name).has_edges]


def training_rows(data, keep=slice(None)):
    inside = data.split.select(data.interactions, Part.TRAIN)
    columns = (
        torch.from_numpy(getattr(data.interactions, name)[inside][keep].astype("int64"))
        for name in ("user", "sequence", "step", "item", "time")
    )
    return TrainingRows(*columns)


def on_planted(name, keep=slice(None)):
    """A baseline fitted to the planted data of its task, with the test queries."""
    data = planted(MODELS.get(name).task)
    shape = data.interactions
    model = fitted(name, training_rows(data, keep), shape.num_items, shape.num_users)
    cut = Cut(model.max_history, CPU)
    queries = TASKS.get(data.task)().queries(shape, data.split, Part.TEST, cut)
    return model, queries


def scores_of(model, queries, size=64):
    index = torch.arange(len(queries)).split(size)
    with torch.inference_mode(), model.scoring():
        return torch.cat([model.scores(queries.inputs.inputs(block)) for block in index])


def test_all_baselines_are_here():
    assert {"random", "pop", "itemknn", "ease", "pop_session", "sknn"} < set(NAMES)
    assert {"pop_basket", "top_personal"} < set(NAMES)
    assert all(issubclass(MODELS.get(name), Baseline) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_has_no_parameters_and_no_loss(name):
    model, queries = on_planted(name)
    batch = queries.inputs.inputs(torch.arange(3))
    assert model.head_parameters() == {}
    assert list(model.parameters()) == []
    loss_B = model.loss(batch)
    assert torch.equal(loss_B, torch.zeros(3))
    moved = {key: value.to("meta") for key, value in vars(batch).items() if torch.is_tensor(value)}
    assert model.loss(replace(batch, **moved)).device.type == "meta"


@pytest.mark.parametrize("name", NAMES)
def test_state_is_all_it_needs(name):
    model, queries = on_planted(name)
    kind = type(model)
    fresh = kind(kind.Settings(), model.shape)
    fresh.load_state_dict(load(save(model.state_dict())))
    if fresh.has_edges:
        data = planted(model.task)
        rows = training_rows(data)
        fresh.set_edges(rows.user_N, rows.item_N)
    assert torch.equal(scores_of(fresh.eval(), queries), scores_of(model, queries))
    assert all(torch.equal(a, model.state_dict()[n]) for n, a in fresh.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_blocks_do_not_matter(name):
    model, queries = on_planted(name)
    together = scores_of(model, queries, 1000)
    assert torch.equal(scores_of(model, queries, 7), together)
    assert (rank(model, queries, 10, block_size=3) == rank(model, queries, 10)).all()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_of_an_earlier_fit(name):
    model, queries = on_planted(name)
    whole = scores_of(model, queries)
    rows = training_rows(planted(model.task), slice(0, 40))
    if model.has_edges:
        model.set_edges(rows.user_N, rows.item_N)
    model.fit(rows)
    few, _ = on_planted(name, slice(0, 40))
    assert torch.equal(scores_of(model, queries), scores_of(few, queries))
    assert (name == "random") == torch.equal(scores_of(few, queries), whole)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_known_before_anything_is_allocated(name):
    kind = MODELS.get(name)
    with torch.device("meta"):
        model = kind(kind.Settings(), Shape(20_000, 20_000))
    assert all(value.is_meta for value in model.state_dict().values())


@pytest.mark.parametrize("name", NAMES)
def test_without_any_rows_it_still_answers(name):
    _, queries = on_planted(name)
    model = fitted(name, no_rows(), planted(MODELS.get(name).task).interactions.num_items, 1000)
    ranked_QK = rank(model, queries, 5)
    assert (ranked_QK >= 0).all()


@pytest.mark.parametrize("name", WITH_EDGES)
def test_dropped_edges_are_as_if_they_had_never_been_given(name):
    rows = random_rows(3)
    model = fitted(name, rows, 17, 30)
    everyone = pairs(*range(30))
    before = model.scores(everyone)
    gone = torch.randperm(200, generator=torch.Generator().manual_seed(4))[:90]
    model.drop_edges(rows.user_N[gone], rows.item_N[gone])
    fresh = fitted(name, rows, 17, 30)
    left = torch.ones(200, dtype=torch.bool).index_fill_(0, gone, False)
    fresh.set_edges(rows.user_N[left], rows.item_N[left])
    assert torch.equal(model.scores(everyone), fresh.scores(everyone))
    assert not torch.equal(model.scores(everyone), before)
    model.restore_edges(rows.user_N[gone], rows.item_N[gone])
    assert torch.equal(model.scores(everyone), before)


@pytest.mark.parametrize("name", WITH_EDGES)
def test_users_without_items_and_items_without_users_score_zero(name):
    scores = fitted(name, random_rows(3), 17, 30).scores(pairs(*range(30)))
    assert not scores[29].any()
    assert not scores[:, 16].any()
    assert scores.any()


@pytest.mark.parametrize("name", WITH_EDGES)
def test_edges_are_no_state_and_are_asked_for(name):
    kind = MODELS.get(name)
    model = kind(kind.Settings(), Shape(2, 3))
    with pytest.raises(AssertionError, match=f"set_edges was not called on model '{name}'"):
        model.scores(pairs(0))


@pytest.mark.parametrize("name", WITH_EDGES)
def test_works_in_float64(name):
    rows = random_rows(3)
    model = fitted(name, rows, 17, 30)
    scores = model.scores(pairs(*range(30)))
    doubled = model.double().scores(pairs(*range(30)))
    # what ease learns is in float64 anyway, what it scores with is not
    assert doubled.dtype == (torch.float32 if name == "ease" else torch.float64)
    torch.testing.assert_close(doubled.double(), scores.double(), rtol=1e-5, atol=1e-6)

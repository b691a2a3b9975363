import pytest

from erase_ray.datasets import DATASETS
from erase_ray.experiment.cell import Part
from erase_ray.experiment.cost import SECONDS_PER_REQUEST, TRAINING_COPIES, CostModel, weight_bytes
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.models import MODELS, Shape


def cells_of(dataset, model, task, **changes):
    values = {
        "datasets": {dataset: {"task": task} if dataset == "planted" else {}},
        "models": model,
        "scenarios": {"sensitive": {"category": "sensitive", "fraction": 0.01}},
        "methods": ["original", "retrain", "scif"],
        "seeds": [2],
    }
    return expand([Block(**(values | changes))])


def test_weights_are_counted_without_allocating_them():
    bpr = Part.resolved(MODELS, "bpr", {"embedding_size": 64})
    assert weight_bytes(bpr, Shape(1000, 3000)) == 4 * 64 * 4000
    sets2sets = Part.resolved(MODELS, "sets2sets", {})
    # the table over pairs of 14,712 items alone has 0.87 GB
    assert weight_bytes(sets2sets, Shape(2500, 14_712)) > 4 * 14_712**2


@pytest.mark.parametrize("name", MODELS.names())
def test_every_model_can_be_laid_out(name, caplog):
    caplog.set_level("DEBUG", "erase_ray.experiment.cost")
    assert weight_bytes(Part.resolved(MODELS, name, {}), Shape(100, 200)) > 0
    assert caplog.messages == []


def test_large_models_ask_for_their_training_copies():
    cell = cells_of("dunnhumby", "sets2sets", "next_basket")[1]
    items = DATASETS.get("dunnhumby").rough_size[2]
    estimate = CostModel().of_cell(cell)
    assert estimate.memory_mb > TRAINING_COPIES * 4 * items**2 / 2**20
    assert estimate.gpu_share == 0.5
    assert CostModel().of_cell(cells_of("planted", "bpr", "cf")[1]).gpu_share == 0.125


def test_seconds_grow_with_epochs():
    model = CostModel()
    short, long = (
        model.of_cell(cells_of("planted", "bpr", "cf", training={"epochs": n})[1]).seconds
        for n in (10, 100)
    )
    start = model.of_cell(cells_of("planted", "bpr", "cf", training={"epochs": 1})[1]).seconds
    assert start < short < long
    # ten times the epochs are ten times the training; the rest of the cell stays
    assert (long - short) / (short - start) == pytest.approx(10)


def test_base_has_weights_and_no_results():
    original, retrain = cells_of("planted", "bpr", "cf")[:2]
    model = CostModel()
    base = model.of_cell(original.base)
    assert base.seconds < model.of_cell(retrain).seconds
    assert base.stored_bytes < model.of_cell(retrain).stored_bytes
    assert model.of_cell(original).seconds < base.seconds + 1


def test_a_model_may_bring_its_own_speed(monkeypatch):
    cell = cells_of("planted", "bpr", "cf")[1]
    before = CostModel().of_cell(cell).seconds
    monkeypatch.setattr(MODELS.get("bpr"), "seconds_per_example", 1.0, raising=False)
    assert CostModel().of_cell(cell).seconds > 1000 * before


@pytest.mark.parametrize(
    ("scenario", "requests"),
    [
        ({"sensitive": {"category": "sensitive", "fraction": 0.01}}, 45),
        ({"spam": {"ratio": 0.02}}, 6),
        ({"account": {"fraction": 0.1}}, 30),
        ({"account": {"num_users": 7}}, 7),
        ({"item": {"num_items": 4}}, 4),
    ],
)
def test_requests_are_counted_for_each_scenario(scenario, requests):
    # planted data is planned with 9,000 rows and 300 people
    cell = cells_of("planted", "bpr", "cf", scenarios=scenario)[-1]
    assert cell.method.name == "scif"
    rows, users, _ = DATASETS.get("planted").rough_size
    assert cell.make_scenario().rough_requests(rows, users) == requests
    one = cells_of("planted", "bpr", "cf", scenarios={"item": {"num_items": 1}})[-1]
    model = CostModel()
    longer = model.of_cell(cell).seconds - model.of_cell(one).seconds
    assert longer == pytest.approx((requests - 1) * SECONDS_PER_REQUEST["cf"])


def test_a_method_that_trains_its_own_model_trains_and_serves():
    model = CostModel()
    methods = ["original", "scif", "sisa", "retrain"]
    original, scif, sisa, retrain = (
        model.of_cell(cell) for cell in cells_of("movielens", "bpr", "cf", methods=methods)[:4]
    )
    assert original.seconds < scif.seconds < sisa.seconds
    assert retrain.seconds < sisa.seconds
    # weights and answers at all four marks, where retraining has one a cell
    assert sisa.stored_bytes == scif.stored_bytes == 4 * retrain.stored_bytes

import pytest

from erase_ray.datasets import DATASETS
from erase_ray.experiment.cell import Part
from erase_ray.experiment.cost import (
    SECONDS_PER_REQUEST,
    TEAM_SHARE,
    TRAINING_COPIES,
    CostModel,
    gpu_share,
    weight_bytes,
)
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.prices import Machine
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


def test_wishes_that_are_merged_cost_one_request_a_mark():
    spam = {"ratio": 0.02}
    cells = [
        cells_of("planted", "bpr", "cf", scenarios={"spam": spam | {"batch": n}}) for n in (1, 99)
    ]
    one, all_ = (CostModel().of_cell(some[-1]) for some in cells)
    # six fakes: one request a fake, or one a mark
    assert one.seconds - all_.seconds == pytest.approx(2 * SECONDS_PER_REQUEST["cf"])


def test_merged_wishes_make_sisa_affordable():
    model = CostModel()
    scenario = {"category": "health", "fraction": 1e-4}
    one, merged, retrain = (
        model.of_cell(
            cells_of(
                "movielens",
                "bpr",
                "cf",
                methods=[method],
                scenarios={"sensitive": scenario | {"batch": batch}},
            )[0]
        )
        for method, batch in (("sisa", 1), ("sisa", 10**6), ("retrain", 1))
    )
    # trained once, and once more at each mark
    assert merged.seconds == pytest.approx(5 * retrain.seconds, rel=0.1)
    assert one.seconds > 10 * merged.seconds


def test_a_gpu_is_fast_where_work_is_dense():
    slow, fast = CostModel(), CostModel(Machine(slots=1, gpus=1, gpu_speed=500))
    for model, dataset, least in (("bpr", "movielens", 1), ("gru4rec", "thirty_music", 100)):
        cell = cells_of(dataset, model, "", methods=["retrain"])[0]
        assert slow.of_cell(cell).seconds > least * fast.of_cell(cell).seconds


@pytest.mark.parametrize(
    ("needed_mb", "share"), [(8001, 1), (8000, 0.5), (2000, 0.125), (1, 0.125)]
)
def test_as_many_share_a_gpu_as_fit(needed_mb, share):
    assert gpu_share(needed_mb, Machine(gpu_gb=16)) == share


def test_no_more_share_a_gpu_than_is_asked():
    assert gpu_share(1, Machine(gpu_gb=16, cells_per_gpu=3)) == 0.5


def base_of(dataset, model, **machine):
    cell = cells_of(dataset, model, "", methods=["original"])[0].base
    return CostModel(Machine(**machine)).of_cell(cell)


def test_large_bases_are_trained_by_several():
    team = {"train_workers": 4, "train_workers_above_gb": 2}
    large, alone = (base_of("dunnhumby", "sets2sets", **some) for some in (team, {}))
    assert (large.workers, alone.workers) == (4, 0)
    assert large.seconds == pytest.approx(alone.seconds / (4 * TEAM_SHARE), rel=0.01)
    assert base_of("dunnhumby", "dnntsp", **team).workers == 0
    assert base_of("movielens", "bpr", **team | {"train_workers_above_gb": 0}).workers == 4


def test_what_one_gpu_cannot_hold_takes_several():
    found = base_of("thirty_music", "gru4rec", slots=64, gpus=8, gpu_gb=4)
    assert found.workers >= 2
    assert found.gpu_share == 1
    assert found.workers * 4000 >= found.gpu_mb
    assert base_of("thirty_music", "gru4rec", slots=64, gpus=8, gpu_gb=80).workers == 0


def test_shards_side_by_side():
    cell = cells_of("movielens", "bpr", "cf", methods=["sisa"])[0]
    alone, together = (CostModel(Machine(shard_workers=on)).of_cell(cell) for on in (False, True))
    assert (alone.shards, together.shards) == (0, 4)
    assert together.seconds < alone.seconds

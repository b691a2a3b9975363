"""Rows taken out of a baseline, request after request: always what a fit without them makes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from erase_ray.data.split import Part
from erase_ray.experiment.chain import attempt
from erase_ray.experiment.grid import load_cells
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store
from erase_ray.methods import METHODS, Request
from erase_ray.methods._request import World
from erase_ray.models import MODELS, Shape
from erase_ray.scenarios import RequestSpec
from erase_ray.tasks import TASKS, Cut
from erase_ray.training import train, training_edges
from tests.conftest import CPU, make_model, planted

NAMES = [name for name in MODELS.names() if not MODELS.get(name).learns]
EXACT = METHODS.get("exact")


def data_of(name):
    """Planted data of the model's task in which many rows repeat the one before them."""
    data = planted(MODELS.get(name).task)
    table = data.interactions
    item = table.item.copy()
    repeats = np.arange(1, len(table), 5)
    repeats = repeats[table.sequence[repeats] == table.sequence[repeats - 1]]
    item[repeats] = item[repeats - 1]
    return replace(data, interactions=replace(table, item=item))


def fitted(name, data, left):
    """A model of the rows that are left."""
    shape = Shape(data.interactions.num_users, data.interactions.num_items)
    kind = MODELS.get(name)
    model = kind(kind.Settings(), shape)
    task = TASKS.get(data.task)()
    train(model, task, left, data.split, kind.training, 2, CPU)
    return model.eval()


def specs_of(data) -> list[RequestSpec]:
    """Some rows of a person, all of another, a whole sequence, an item, everything of ten."""
    table = data.interactions
    owners = table.user[data.split.select(table, Part.TRAIN)]
    most = np.bincount(owners).argsort(kind="stable")[::-1]
    item = np.bincount(table.item).argmax()
    last = table.sequence == table.sequence[table.user == most[2]][-1]
    wanted = [
        (table.user == most[0]) & (table.row % 3 == 0),
        table.user == most[1],
        last,
        (table.user == most[0]) & (table.row % 3 == 1),
        (table.item == item),
        np.isin(table.user, most[5:15]),
        np.isin(table.user, most[20:40]) & (table.row % 2 == 0),
    ]
    specs, gone = [], np.zeros(len(table), bool)
    for mask in wanted:
        rows = table.row[mask & ~gone]
        gone |= mask
        specs.append(RequestSpec(len(specs), np.unique(table.user[rows]).astype(np.int64), rows))
    return specs


def request_of(model, data, spec, forgotten) -> Request:
    task, cut = TASKS.get(data.task)(), Cut(model.max_history, CPU)
    table = data.interactions
    examples = task.examples(table, data.split, cut)
    world = World(task, table, data.split, cut, examples, table.num_items, lambda *_: None)
    asked = torch.as_tensor(spec.users)
    return Request(spec, forgotten, world, asked, len(examples), seed=spec.id)


def serve(model, data, specs, forgotten):
    """Serve requests as the chain does; outcome and forgotten rows after each."""
    for spec in specs:
        request = request_of(model, data, spec, forgotten)
        outcome, _ = attempt(EXACT(EXACT.Settings()), model, request)
        if model.has_edges:
            model.drop_edges(*request.edges)
        forgotten = np.concatenate([forgotten, spec.rows])
        yield outcome, forgotten


def assert_equal(name, model, fresh):
    """Bit by bit, but for the inverse that `ease` computes."""
    expected = fresh.state_dict()
    assert list(expected) == list(model.state_dict())
    for key, value in model.state_dict().items():
        if name == "ease":
            largest = float(expected[key].abs().max())
            torch.testing.assert_close(value, expected[key], rtol=0, atol=1e-12 * largest)
        else:
            assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_after_every_request_it_is_what_a_fit_makes(name):
    data = data_of(name)
    model, none = fitted(name, data, data.interactions), np.zeros(0, np.int64)
    for outcome, forgotten in serve(model, data, specs_of(data), none):
        assert (outcome.status, outcome.reason) == ("applied", "")
        left = data.interactions.without(forgotten)
        assert_equal(name, model, fitted(name, data, left))
        train_rows = data.split.select(data.interactions.only(forgotten), Part.TRAIN)
        assert 0 < outcome.details["num_training_rows"] <= train_rows.sum()
    assert len(forgotten) > len(data.interactions) / 10


@pytest.mark.parametrize("name", NAMES)
def test_it_scores_like_a_fit(name):
    data = data_of(name)
    model, none = fitted(name, data, data.interactions), np.zeros(0, np.int64)
    *_, (_, forgotten) = serve(model, data, specs_of(data), none)
    left = data.interactions.without(forgotten)
    fresh = fitted(name, data, left)
    cut = Cut(model.max_history, CPU)
    queries = TASKS.get(data.task)().queries(left, data.split, Part.TEST, cut)
    batch = queries.inputs.inputs(torch.arange(len(queries)))
    with torch.inference_mode(), model.scoring(), fresh.scoring():
        torch.testing.assert_close(model.scores(batch), fresh.scores(batch), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_chain_that_was_stored_goes_on_as_if_it_had_not_been(name):
    data, none = data_of(name), np.zeros(0, np.int64)
    specs = specs_of(data)
    model = fitted(name, data, data.interactions)
    *_, (_, forgotten) = serve(model, data, specs[:3], none)
    again = make_model(name, data)
    again.load_state_dict(load(save(model.state_dict())))
    if again.has_edges:
        left = data.interactions.without(forgotten)
        again.set_edges(*training_edges(left, data.split, CPU))
    for one in (model, again):
        list(serve(one, data, specs[3:], forgotten))
    state = again.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_rows_that_were_not_trained_on_change_nothing(name):
    data = data_of(name)
    table = data.interactions
    rows = table.row[(data.split.of(table) != Part.TRAIN) & (table.user < 3)]
    model = fitted(name, data, table)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    spec = RequestSpec(0, np.unique(table.user[rows]).astype(np.int64), rows)
    [(outcome, _)] = serve(model, data, [spec], np.zeros(0, np.int64))
    assert (outcome.status, outcome.reason) == ("empty", "no training row is to be forgotten")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


GRID = """
seeds: [2]
scenarios: {sensitive: {category: sensitive, fraction: 0.02}}
methods: [retrain, exact]
blocks:
  - {datasets: {planted: {task: cf}}, models: [random, pop, itemknn, ease]}
  - {datasets: {planted: {task: session_based}}, models: [pop_session, sknn]}
  - {datasets: {planted: {task: next_basket}}, models: [pop_basket, top_personal]}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    grid = folder / "grid.yaml"
    grid.write_text(GRID)
    cells, store = load_cells(grid), Store(str(folder))
    cells = [cell for cell in cells if cell.mark in (None, 1, 4)]
    for node in build(cells, store).pending():
        run_node(node.payload, str(folder))
    return store, {(cell.model.name, cell.method.name, cell.mark): cell for cell in cells}


@pytest.mark.parametrize("name", NAMES)
def test_results_at_the_marks_are_those_of_retraining(name, finished):
    store, cells = finished
    chain = store.table(cells[name, "exact", None].key, "results")
    columns = ["metric", "k", "value", "n", "test_hash"]
    for mark in (1, 4):
        expected = store.table(cells[name, "retrain", mark].key, "results")[columns]
        found = chain[chain["mark"] == mark][columns]
        assert len(found) > 0
        assert found.to_numpy().tolist() == expected.to_numpy().tolist()


@pytest.mark.parametrize("name", NAMES)
def test_requests_of_the_chain_are_applied_or_have_no_training_rows(name, finished):
    store, cells = finished
    requests = store.table(cells[name, "exact", None].key, "requests")
    assert set(requests["status"]) <= {"applied", "empty"}
    assert (requests["status"] == "applied").mean() > 0.5
    assert (requests["seconds_algorithm"] >= 0).all()

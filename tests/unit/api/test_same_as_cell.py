"""What `unlearn` does to a model on a data frame is what a cell of a grid does, bit by bit."""

import numpy as np
import pandas as pd
import pytest
import torch

import erase_ray
from erase_ray.data.prepared import Prepared
from erase_ray.experiment.cell import Cell
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_node
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.store import Store

MODELS = {
    "cf": ("bpr", {"embedding_size": 8}, {"epochs": 3, "batch_size": 256}),
    "session_based": ("gru4rec", {"embedding_size": 8}, {"epochs": 1, "batch_size": 256}),
    "next_basket": ("sets2sets", {"embedding_size": 8}, {"epochs": 2, "batch_size": 16}),
}


def served_cell(task: str, method: str, store: Store, **settings) -> Cell:
    """A cell on planted data, run in this process."""
    model, model_settings, training = MODELS[task]
    block = Block(
        datasets={"planted": {"task": task, "num_users": 60, "num_items": 76}},  # type: ignore
        models={model: model_settings},  # type: ignore
        training=training,
        methods=["original", {method: settings}],  # type: ignore
        scenarios={"sensitive": {"category": "sensitive", "fraction": 0.012}},  # type: ignore
        seeds=[5],
    )
    cells = expand([block])
    cell = cells[-1]
    for node in build([cells[0], cell], store).pending():
        run_node(node.payload, store.uri)
    return cell


def outer_frame(data: Prepared) -> pd.DataFrame:
    """The interactions with their outer ids, in an order and with an index of their own."""
    table, names = data.interactions, data.vocabulary
    frame = pd.DataFrame(
        {
            "visitor": list(names.users.take(table.user)),
            "item": list(names.items.take(table.item)),
            "session": list(names.sequences.take(table.sequence)),
            "basket": table.step,
            "time": table.time,
            "row": table.row,
        }
    )
    frame = frame.sample(frac=1, random_state=1).set_index("row")
    return frame.drop(columns={"cf": ["session", "basket"], "session_based": ["basket"]}.get(
        data.task, ["session"]))  # fmt: skip


@pytest.mark.parametrize(
    ("task", "method"),
    [
        ("cf", "scif"),
        ("cf", "seif"),
        ("cf", "retrain"),
        ("session_based", "scif"),
        ("session_based", "kookmin"),
        ("next_basket", "seif"),
    ],
)
def test_weights_are_those_of_the_cell(task, method, tmp_path):
    store = Store(str(tmp_path))
    cell = served_cell(task, method, store)
    setting = Setting.load(cell, store, torch.device("cpu"))
    base = setting.base_model(store)
    frame, names = outer_frame(setting.data), setting.data.vocabulary
    given = {name: tensor.clone() for name, tensor in base.state_dict().items()}

    gone = erase_ray.unlearn(
        base,
        frame,
        setting.chain.rows(),
        method,
        columns={"user": "visitor"},
        users=names.users,
        items=names.items,
        split="task",
        training=cell.training,
        seed=cell.seed,
    )

    assert len(gone.outcomes) == (1 if method == "retrain" else len(setting.chain))
    assert "applied" in set(gone.outcomes["status"])
    expected = store.get_weights(store.manifest(cell.key)["weights"]["4"])
    found = gone.model.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
    assert any(not torch.equal(given[name], tensor) for name, tensor in expected.items())
    for name, tensor in base.state_dict().items():
        assert torch.equal(given[name], tensor), f"{name} of the given model was changed"


def test_own_numbers_are_those_of_the_preparation(tmp_path):
    """A model that `fit` trains on the frame is the base model of the cell."""
    store = Store(str(tmp_path))
    for task, (model, settings, training) in MODELS.items():
        cell = served_cell(task, "none", store)
        setting = Setting.load(cell, store, torch.device("cpu"))
        frame = outer_frame(setting.data).rename(columns={"visitor": "user"})
        fitted = erase_ray.fit(
            frame, model, settings=settings, training=training, seed=cell.seed, device="cpu"
        )
        for name, column in setting.data.interactions.columns():
            assert np.array_equal(getattr(fitted.table.interactions, name), column), (task, name)
        assert np.array_equal(fitted.table.split.marks, setting.data.split.marks)
        assert list(fitted.vocabulary.items) == list(setting.data.vocabulary.items)
        assert np.array_equal(fitted.table.row_F, frame.index.to_numpy())
        expected = setting.base_model(store).state_dict()
        for name, tensor in fitted.model.state_dict().items():
            assert torch.equal(tensor, expected[name]), (task, name)

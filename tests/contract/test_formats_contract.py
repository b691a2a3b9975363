"""Made-up raw files of every original format: the reader finds exactly what the truth says."""

import functools
import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pytest

from erase_ray.data.prepare import prepare
from erase_ray.datasets import DATASETS, Scratch, _synthetic
from erase_ray.errors import ScenarioError
from erase_ray.evaluation import measure, rank
from erase_ray.metrics import METRICS, Answers
from erase_ray.models import MODELS, TrainingSettings
from erase_ray.scenarios import SCENARIOS
from erase_ray.tasks import TASKS, Cut
from erase_ray.training import train
from tests.conftest import CPU, make_model

NAMES = _synthetic.names()
NINE = [
    "amazon_books",
    "amazon_grocery",
    "dunnhumby",
    "goodreads",
    "instacart",
    "movielens",
    "nowplaying",
    "tafeng",
    "thirty_music",
]
MODEL = {"cf": "bpr", "session_based": "gru4rec", "next_basket": "sets2sets"}


@functools.cache
def made(name: str, seed: int):
    """The truth about made-up raw files, what the reader read, and the prepared data."""
    kind = DATASETS.get(name)
    dataset = kind(kind.Settings(**_synthetic.reading(name)))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        _synthetic.write(name, out, 1, seed)
        truth = _synthetic.truth(name, out, seed)
        raw = dataset.read(_synthetic.files(name, out), Scratch(out / "scratch"))
    return truth, raw, prepare(dataset, raw, TASKS.get(dataset.task)().split)


def test_the_nine_datasets_of_the_benchmark_can_be_made():
    assert NAMES == NINE


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 7])
def test_rows_after_each_step_are_those_of_the_truth(name, seed):
    truth, raw, _ = made(name, seed)
    assert raw.counts == truth["counts"]
    assert list(raw.counts) == list(truth["counts"])
    columns = ["user", "sequence", "step", "item", "time"]
    rows = raw.frame()[columns].itertuples(index=False, name=None)
    lines = sorted("\t".join(map(str, row)) + "\n" for row in rows)
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == truth["rows_sha256"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 7])
def test_sensitive_items_are_those_of_the_truth(name, seed):
    truth, _, data = made(name, seed)
    found = {
        category: sorted(data.vocabulary.items.take(np.flatnonzero(mask)))
        for category, mask in data.catalogue.categories.items()
    }
    assert found == truth["sensitive"]
    assert all(found.values())
    sizes = [getattr(data.interactions, f"num_{what}") for what in ("users", "items", "sequences")]
    assert sizes == [truth["num_users"], truth["num_items"], truth["num_sequences"]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 7])
def test_chains_are_those_of_the_truth(name, seed):
    truth, _, data = made(name, seed)
    kind = SCENARIOS.get("sensitive")
    lengths = []
    for category, chains in truth["chains"].items():
        for fraction, expected in chains.items():
            scenario = kind(kind.Settings(category=category, fraction=float(fraction)))
            arguments = (data.interactions, data.split, data.catalogue, truth["chain_seed"])
            if expected is None:
                with pytest.raises(ScenarioError, match="the first user drawn"):
                    scenario.build(*arguments)
                continue
            assert outer(scenario.build(*arguments), data) == expected
            lengths.append(len(expected))
    assert max(lengths) >= 12


def outer(chain, data) -> list[list]:
    """The requests in the words of the raw files."""
    table, names = data.interactions, data.vocabulary
    return [
        [
            names.users[request.user],
            sorted(
                [names.sequences[table.sequence[row]], int(table.step[row]), item]
                for row in request.rows
                for item in [names.items[table.item[row]]]
            ),
        ]
        for request in chain.requests
    ]


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bytes(name, tmp_path):
    for folder, seed in (("one", 3), ("two", 3), ("other", 4)):
        (tmp_path / folder).mkdir()
        _synthetic.write(name, tmp_path / folder, 1, seed)
    one, two, other = (contents(tmp_path / folder) for folder in ("one", "two", "other"))
    assert one == two
    assert one != other


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", NAMES)
def test_a_trained_model_beats_popularity_and_recommends_sensitive_items(name):
    _, _, data = made(name, 0)
    model_name = MODEL[data.task]
    model, task = make_model(model_name, data), TASKS.get(data.task)()
    settings = TrainingSettings(epochs=12, batch_size=64, learning_rate=5e-3)
    train(model, task, data.interactions, data.split, settings, 2, CPU)
    queries = task.queries(data.interactions, data.split, 2, Cut(model.max_history, CPU))
    ranked = rank(model, queries, 20)
    sensitive = np.any(list(data.catalogue.categories.values()), axis=0)
    recall = METRICS.get("recall")()
    train_rows = data.split.marks == 0
    counts = np.bincount(data.interactions.item[train_rows], minlength=len(sensitive))
    masked = [queries.masked.take(q, q + 1).values for q in range(len(queries))]
    order = np.argsort(-counts, kind="stable")
    popular = np.stack([order[~np.isin(order, out)][:20] for out in masked]).astype(np.int32)
    values = [
        measure(Answers(lists, queries.relevant, sensitive), [recall], (10,))[0].value
        for lists in (ranked, popular)
    ]
    assert values[0] > 1.2 * values[1]
    assert sensitive[ranked[:, :10]].any(axis=1).mean() > 0.1


def test_every_model_of_the_check_is_known():
    assert set(MODEL.values()) <= set(MODELS.names())

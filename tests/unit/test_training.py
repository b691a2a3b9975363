import math

import numpy as np
import pytest
import torch
from torch import nn

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part
from erase_ray.errors import TrainingError, UnknownNameError
from erase_ray.evaluation import rank
from erase_ray.metrics import METRICS, Answers, Metric
from erase_ray.models import MODELS, Model, Shape, TrainingSettings
from erase_ray.tasks import TASKS, Cut
from erase_ray.training import train

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def table(sequences):
    """Interactions from lists of (step, item), one list a user."""
    rows = [(user, step, item) for user, s in enumerate(sequences) for step, item in s]
    user, step, item = (np.array(column) for column in zip(*rows, strict=True))
    columns = {"user": user, "sequence": user, "step": step, "item": item, "time": step}
    return Interactions.prepared(columns)


def groups():
    """Two groups of people, each choosing among its own twenty items."""
    draw = np.random.default_rng(3)
    picks = [draw.permutation(20)[:12] + 20 * (user % 2) for user in range(60)]
    return table([list(enumerate(items)) for items in picks])


def cycles():
    """Sessions that walk on by one item a step, from a random start."""
    starts = np.random.default_rng(3).integers(0, 15, 60)
    return table([[(t, (start + t) % 15) for t in range(12)] for start in starts])


def habits():
    """People who buy three of their own five items each time."""
    draw = np.random.default_rng(3)
    people = []
    for _ in range(60):
        own = draw.permutation(40)[:5]
        baskets = [np.sort(draw.permutation(own)[:3]) for _ in range(8)]
        people.append([(step, item) for step, basket in enumerate(baskets) for item in basket])
    return table(people)


def setting(name, interactions):
    """A fresh model of a kind with its task and split."""
    cls = MODELS.get(name)
    task = TASKS.get(cls.task)()
    model = cls(cls.Settings(), Shape(interactions.num_users, interactions.num_items))
    return model, task, task.split(interactions)


def bpr(**changes):
    interactions = groups()
    model, task, split = setting("bpr", interactions)
    settings = TrainingSettings(**{"epochs": 3, "batch_size": 64, "select_k": 5, **changes})
    record = train(model, task, interactions, split, settings, 7, CPU)
    return model, record


def recall(ranked, queries, num_items):
    answers = Answers(ranked, queries.relevant, np.zeros(num_items, bool))
    return METRICS.get("recall")().per_query(answers, ranked.shape[1]).mean()


class Counter(Model):
    """A model with one weight, which Adam moves by the step size in every step."""

    task = "cf"
    name = "counter"

    def __init__(self, shape):
        super().__init__(self.Settings(), shape)
        self.weight = nn.Parameter(torch.zeros(()))
        self.num_prepared = 0

    def reset(self, generator):
        nn.init.zeros_(self.weight)

    def prepare(self, examples):
        self.num_prepared += 1

    def loss(self, batch):
        assert self.training
        return self.weight.expand(len(batch))

    def scores(self, batch):
        assert not self.training
        return torch.zeros(len(batch), self.shape.num_items)

    def head_parameters(self):
        return {}


class Popularity(Counter):
    """Scores an item by how many training rows it has."""

    def __init__(self, interactions, split):
        super().__init__(Shape(interactions.num_users, interactions.num_items))
        items = interactions.item[split.select(interactions, Part.TRAIN)]
        self.count_I = torch.from_numpy(np.bincount(items, minlength=interactions.num_items))

    def scores(self, batch):
        return self.count_I.float().expand(len(batch), -1)


@pytest.mark.parametrize(
    ("name", "interactions", "epochs", "least"),
    [("bpr", groups(), 40, 0.4), ("gru4rec", cycles(), 30, 0.95), ("sets2sets", habits(), 20, 0.9)],
)
def test_a_trained_model_beats_popularity(name, interactions, epochs, least):
    model, task, split = setting(name, interactions)
    size = {"bpr": 64, "gru4rec": 32, "sets2sets": 1}[name]
    settings = TrainingSettings(epochs=epochs, batch_size=size, learning_rate=5e-3, select_k=5)
    record = train(model, task, interactions, split, settings, 7, CPU)
    queries = task.queries(interactions, split, Part.TEST, Cut(model.max_history, CPU))
    popularity = Popularity(interactions, split)
    ours, theirs = (
        recall(rank(each, queries, 5), queries, interactions.num_items)  # type: ignore
        for each in (model, popularity)
    )
    assert ours >= least
    assert ours > theirs + 0.2
    assert record.losses[-1] < record.losses[0]


@pytest.mark.parametrize(
    ("name", "interactions"), [("bpr", groups()), ("gru4rec", cycles()), ("sets2sets", habits())]
)
def test_repeats_are_identical_whatever_ran_before(name, interactions):
    settings = TrainingSettings(epochs=2, batch_size=16, select_k=5)
    weights, records = [], []
    for _ in range(2):
        torch.rand(3)
        model, task, split = setting(name, interactions)
        records.append(train(model, task, interactions, split, settings, 7, CPU))
        weights.append({k: v.clone() for k, v in model.state_dict().items()})
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert records[0].losses == records[1].losses
    assert records[0].valid_curve == records[1].valid_curve


def test_training_leaves_the_global_generator_alone():
    interactions = cycles()
    model, task, split = setting("gru4rec", interactions)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(model, task, interactions, split, TrainingSettings(epochs=1), 7, CPU)
    assert torch.equal(torch.get_rng_state(), before)


def test_another_seed_gives_other_weights():
    interactions = groups()
    tables = []
    for seed in (1, 2):
        model, task, split = setting("bpr", interactions)
        train(model, task, interactions, split, TrainingSettings(epochs=1), seed, CPU)
        tables.append(model.item_embedding.weight.detach())
    assert not torch.equal(*tables)


def visits(monkeypatch, interactions, split_of):
    """What BPR is shown in two epochs: (user, item, negative) one after the other."""
    model, task, split = setting("bpr", split_of)
    seen = []
    original = type(model).loss

    def spy(self, batch):
        columns = (batch.user_B, batch.item_B, batch.negative_B)
        seen.extend(zip(*(c.tolist() for c in columns), strict=True))
        return original(self, batch)

    monkeypatch.setattr(type(model), "loss", spy)
    settings = TrainingSettings(epochs=2, batch_size=32)
    train(model, task, interactions, split, settings, 7, CPU)
    monkeypatch.undo()
    return seen


def test_without_a_row_the_others_keep_order_and_negatives(monkeypatch):
    interactions = groups()
    full = visits(monkeypatch, interactions, interactions)
    gone = (interactions.user[0], interactions.item[0])
    rest = visits(monkeypatch, interactions.without(np.array([0])), interactions)
    expected = [visit for visit in full if visit[:2] != gone]
    assert len(rest) == len(full) - 2
    assert len(expected) == len(rest)
    # the item of the deleted row may now be drawn for its user, which replaces a later attempt
    differing = [new for old, new in zip(expected, rest, strict=True) if old != new]
    assert all((user, negative) == gone for user, _, negative in differing)


def scripted(monkeypatch, values, **changes):
    """Train a counter whose validation values are ``values``, one an epoch."""
    interactions = groups()
    _, task, split = setting("bpr", interactions)
    model = Counter(Shape(interactions.num_users, interactions.num_items))
    left = iter(values)

    class Told(Metric):
        name = "told"

        def per_query(self, answers, k):
            return np.array([next(left)] + [math.nan] * (len(answers) - 1))

    monkeypatch.setattr(METRICS, "get", lambda name: Told)
    settings = TrainingSettings(**{"epochs": len(values), "batch_size": 10_000, **changes})
    calls = []
    record = train(
        model, task, interactions, split, settings, 7, CPU, lambda *call: calls.append(call)
    )
    return model, record, calls


def weight_after(epochs):
    return pytest.approx(-1e-3 * epochs, rel=1e-4)


def test_best_epoch_is_the_first_of_the_highest(monkeypatch):
    model, record, calls = scripted(monkeypatch, [0.1, 0.5, 0.3, 0.5, 0.4])
    assert record.best_epoch == 1
    assert record.epochs == 5
    assert record.valid_curve == [0.1, 0.5, 0.3, 0.5, 0.4]
    assert model.weight.item() == weight_after(2)
    assert [call[0] for call in calls] == [0, 1, 2, 3, 4]
    assert [call[2] for call in calls] == record.valid_curve
    assert [call[1] for call in calls] == record.losses


def test_patience_counts_validations_without_a_gain(monkeypatch):
    model, record, _ = scripted(monkeypatch, [0.2, 0.1, 0.3, 0.3, 0.3, 0.9], patience=2)
    assert (record.best_epoch, record.epochs) == (2, 5)
    assert model.weight.item() == weight_after(3)


def test_a_gain_below_rounding_is_a_gain(monkeypatch):
    _, record, _ = scripted(monkeypatch, [0.2, 0.2 + 1e-12])
    assert record.best_epoch == 1


def test_best_of_the_last_epoch_stays_without_a_copy(monkeypatch):
    model, record, _ = scripted(monkeypatch, [0.1, 0.2, 0.3])
    assert record.best_epoch == 2
    assert model.weight.item() == weight_after(3)


def test_without_valid_queries_the_last_epoch_stays():
    interactions = groups()
    model, task, split = setting("bpr", interactions)
    only_train = interactions.only(interactions.row[split.select(interactions, Part.TRAIN)])
    settings = TrainingSettings(epochs=3, patience=1)
    record = train(model, task, only_train, split, settings, 7, CPU)
    assert (record.best_epoch, record.epochs, record.valid_curve) == (2, 3, [])
    assert len(record.losses) == 3


def test_prepare_is_called_once_and_the_optimizer_leaves_nothing_behind(monkeypatch):
    model, _, _ = scripted(monkeypatch, [0.1, 0.2])
    assert model.num_prepared == 1
    assert model.weight.grad is None


def test_loss_of_an_epoch_is_the_mean_over_examples():
    _, record = bpr(epochs=1, learning_rate=1e-12)
    fresh, task, split = setting("bpr", groups())
    fresh.reset(seeds.torch_generator(7, "init"))
    examples = task.examples(groups(), split, Cut(0, CPU))
    batch = examples.batch(torch.arange(len(examples)), seeds.derive(7, "negatives", 0))
    assert record.losses[0] == pytest.approx(fresh.loss(batch).mean().item(), rel=1e-5)


def test_weight_decay_reaches_the_optimizer():
    plain, _ = bpr()
    decayed, _ = bpr(weight_decay=10.0)
    assert decayed.item_embedding.weight.norm() < plain.item_embedding.weight.norm()


class Exploding(Counter):
    """A model whose loss is not a number from some step on."""

    name = "exploding"
    steps_left = 4

    def loss(self, batch):
        self.steps_left -= 1
        factor = float("nan") if self.steps_left < 0 else 1.0
        return self.weight.expand(len(batch)) * factor


def test_loss_that_is_not_finite_names_model_epoch_and_step():
    interactions = groups()
    _, task, split = setting("bpr", interactions)
    model = Exploding(Shape(interactions.num_users, interactions.num_items))
    num = len(task.examples(interactions, split, Cut(0, CPU)))
    settings = TrainingSettings(epochs=5, batch_size=-(-num // 3))
    message = (
        r"the loss of model 'exploding' is nan at epoch 1, step 1; "
        r"a learning_rate below 0\.001 may help"
    )
    with pytest.raises(TrainingError, match=message):
        train(model, task, interactions, split, settings, 7, CPU)


def test_weights_that_are_not_finite_are_named():
    class Silent(Counter):
        name = "silent"

        def loss(self, batch):
            return (self.weight * 0).sqrt().expand(len(batch))  # 0, but its slope is nan

    interactions = groups()
    _, task, split = setting("bpr", interactions)
    model = Silent(Shape(interactions.num_users, interactions.num_items))
    settings = TrainingSettings(epochs=1, batch_size=10_000)
    with pytest.raises(TrainingError, match=r"weights of model 'silent' not finite: \['weight'\]"):
        train(model, task, interactions, split, settings, 7, CPU)


def test_no_examples_is_an_error():
    interactions = groups()
    model, task, split = setting("bpr", interactions)
    nothing = interactions.without(interactions.row)
    with pytest.raises(TrainingError, match="model 'bpr' has no training examples left"):
        train(model, task, nothing, split, TrainingSettings(), 7, CPU)


def test_unknown_selection_metric_is_named():
    with pytest.raises(UnknownNameError, match=r"no metric is called 'recal'\. Did you mean"):
        bpr(select_metric="recal")


def test_graph_models_are_given_the_training_edges_that_are_left():
    class Graph(Counter):
        name = "graph"
        has_edges = True

        def set_edges(self, user_E, item_E):
            self.edges = list(zip(user_E.tolist(), item_E.tolist(), strict=True))

    interactions = groups()
    _, task, split = setting("bpr", interactions)
    model = Graph(Shape(interactions.num_users, interactions.num_items))
    left = interactions.without(np.array([0]))
    train(model, task, left, split, TrainingSettings(epochs=1), 7, CPU)
    inside = split.select(interactions, Part.TRAIN)
    pairs = zip(interactions.user[inside].tolist(), interactions.item[inside].tolist(), strict=True)
    assert model.edges == list(pairs)[1:]


def test_the_repeat_gate_of_sets2sets_is_trained():
    interactions = habits()
    model, task, split = setting("sets2sets", interactions)
    model.reset(seeds.torch_generator(7, "init"))
    before = model.gate.weight.detach().clone()
    settings = TrainingSettings(epochs=1, batch_size=4, select_k=5)
    train(model, task, interactions, split, settings, 7, CPU)
    moved = model.gate.weight.detach() != before
    assert moved.any()
    assert not moved.all()

"""A torch module of the user's own."""

import pytest
import torch
from api_toys import frame_of
from torch import nn
from torch.nn import functional

import erase_ray
from erase_ray.errors import DataError, SettingsError, UnknownNameError


class TwoTowers(nn.Module):
    """A tower each for users and items, then the inner product."""

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(num_users, 8), nn.Embedding(num_items, 8)
        self.tower = nn.Sequential(nn.Linear(8, 8), nn.Tanh())

    def forward(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        return (self.tower(self.user(user)) * self.item(item)).sum(-1)


def loss(module, batch):
    gap = module(batch.user_B, batch.item_B) - module(batch.user_B, batch.negative_B)
    return functional.softplus(-gap)


def scores(module, batch):
    return module.tower(module.user(batch.user_B)) @ module.item.weight.T


FRAME = frame_of()
USERS, ITEMS = sorted(FRAME["user"].unique()), sorted(FRAME["item"].unique())
TABLES = {"user_tables": ["user.weight"], "item_tables": ["item.weight"]}


def wrapped(**options) -> erase_ray.Wrapped:
    torch.manual_seed(3)
    module = TwoTowers(len(USERS), len(ITEMS))
    known = {"loss": loss, "scores": scores, "users": USERS, "items": ITEMS, **TABLES}
    return erase_ray.wrap(module, **(known | options))


def vectors(module, batch):
    return module.tower(module.user(batch.user_B))


@pytest.mark.parametrize("method", ["scif", "gif", "seif", "kookmin", "fanchuan", "retrain"])
def test_methods_serve_it(method):
    training = {"epochs": 1, "batch_size": 128}
    model = wrapped(head=["user.weight"], training=training, represent=vectors)
    before = {f"module.{name}": w.clone() for name, w in model.module.state_dict().items()}
    gone = erase_ray.unlearn(model, FRAME, FRAME.index[:3], method)
    assert gone.outcomes["status"].tolist() == ["applied"]
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    after = gone.model.state_dict()
    moved = {name for name, weight in after.items() if not torch.equal(before[name], weight)}
    assert moved
    assert moved == {"module.user.weight"} or method != "scif"
    with pytest.raises(SettingsError, match="is no model of the benchmark; save it with"):
        gone.save("nowhere")


def test_what_a_method_lacks():
    with pytest.raises(SettingsError, match=r"give wrap\(..., represent=FUNCTION"):
        erase_ray.unlearn(wrapped(), FRAME, ["r0"], "fanchuan")
    with pytest.raises(SettingsError, match="'sisa' builds models of its own by their name"):
        erase_ray.unlearn(wrapped(), FRAME, ["r0"], "sisa")


def test_ids_are_rows_of_the_tables():
    model = wrapped()
    top = erase_ray.unlearn(model, FRAME, ["r0"], "none").recommend(["u0"], 1)
    user = USERS.index("u0")
    mine = FRAME[FRAME["user"] == "u0"].drop("r0")
    had = [ITEMS.index(item) for item in mine["item"]]
    with torch.no_grad():
        all_I = model.module(torch.full((len(ITEMS),), user), torch.arange(len(ITEMS)))
    all_I[had] = -torch.inf
    assert top["item"].tolist() == [ITEMS[int(all_I.argmax())]]


def test_the_users_weights_are_those_of_the_copy():
    model = wrapped()
    gone = erase_ray.unlearn(model, FRAME, ["r0"], "gif")
    assert isinstance(gone.model, erase_ray.Wrapped)
    assert gone.model.module is not model.module
    assert isinstance(gone.model.module, TwoTowers)


def test_retraining_needs_to_know_how_to_begin():
    class Bare(TwoTowers):
        def __init__(self, *sizes: int) -> None:
            super().__init__(*sizes)
            self.bias = nn.Parameter(torch.zeros(1))

    module = Bare(len(USERS), len(ITEMS))
    known = {"loss": loss, "scores": scores, "users": USERS, "items": ITEMS, **TABLES}
    model = erase_ray.wrap(module, training={"epochs": 1}, **known)
    with pytest.raises(SettingsError, match=r"nothing says how to draw bias anew"):
        erase_ray.unlearn(model, FRAME, ["r0"], "retrain")

    def reset(module):
        for parameter in module.parameters():
            nn.init.normal_(parameter)

    model = erase_ray.wrap(module, training={"epochs": 1}, reset=reset, **known)
    assert erase_ray.unlearn(model, FRAME, ["r0"], "retrain").summary["applied"] == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"head": ["usr.weight"]}, r"no parameter 'usr.weight'. Did you mean 'user.weight'"),
        ({"user_tables": [], "users": None}, "how many users .* is not clear: give num_users"),
        ({"item_tables": [], "items": None}, "how many items the module knows is not clear"),
        ({"num_items": 7}, r"contradict each other: 'item.weight' has 30 rows, num_items is 7"),
        ({"training": {"epoch": 1}}, "training: epoch: Extra inputs"),
        ({"users": ["a"]}, r"'user.weight' has 24 rows, users has 1 ids"),
    ],
)  # fmt: skip
def test_errors_of_wrap(options, text):
    with pytest.raises(SettingsError, match=text):
        wrapped(**options)


def test_tasks_have_names():
    with pytest.raises(UnknownNameError, match="no task is called 'ctr'"):
        wrapped(task="ctr")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"loss": lambda m, b: loss(m, b).mean()}, r"loss of model 'wrapped' has the shape \[\] "
         r"for a batch of 2, expected \[2\]"),
        ({"scores": lambda m, b: scores(m, b)[:, :5]}, r"the shape \[2, 5\] .* \[2, 30\]"),
    ],
)  # fmt: skip
def test_wrong_shapes(options, text):
    with pytest.raises(SettingsError, match=text):
        erase_ray.unlearn(wrapped(**options), FRAME, ["r0"])


def test_without_ids_the_frame_numbers_the_tables():
    model = wrapped(users=None, items=None)
    with pytest.raises(DataError, match="say which user each row of the model's tables is: users="):
        erase_ray.unlearn(model, FRAME, ["r0"])
    numbers = FRAME.assign(
        user=[USERS.index(user) for user in FRAME["user"]],
        item=[ITEMS.index(item) for item in FRAME["item"]],
    )
    by_number = erase_ray.unlearn(model, numbers, ["r0"]).model.state_dict()
    by_id = erase_ray.unlearn(wrapped(), FRAME, ["r0"]).model.state_dict()
    assert all(torch.equal(by_id[name], tensor) for name, tensor in by_number.items())


def test_a_session_model():
    class Average(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.item = nn.Embedding(len(ITEMS), 8)

    def history(module, batch):
        inside = torch.arange(batch.items_BL.shape[1]) < batch.length_B[:, None]
        return (module.item(batch.items_BL) * inside[..., None]).sum(1) / batch.length_B[:, None]

    def session_scores(module, batch):
        return history(module, batch) @ module.item.weight.T

    def session_loss(module, batch):
        logits = session_scores(module, batch)
        return functional.cross_entropy(logits, batch.target_B, reduction="none")

    model = erase_ray.wrap(
        Average(), task="session_based", loss=session_loss, scores=session_scores,
        item_tables=["item.weight"], items=ITEMS, max_history=10,
    )  # fmt: skip
    frame = frame_of("session_based")
    gone = erase_ray.unlearn(model, frame, frame["user"] == "u1", "gif")
    assert gone.outcomes["status"].tolist() == ["applied"]
    assert gone.outcomes["num_forget"].tolist() == [12]  # four sessions of four, all trained on

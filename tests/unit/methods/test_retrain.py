import torch
from method_toys import PairTask, UserModel, fresh, toy_request, toy_table, toy_world

from erase_ray.methods import METHODS
from erase_ray.methods.retrain import Retrain

TABLE = toy_table()


def test_trains_anew_on_what_is_left():
    seen = []

    def train(model, interactions):
        seen.append(interactions.row.tolist())
        with torch.no_grad():
            model.user.fill_(3.0)

    model = fresh(UserModel, TABLE)
    world = toy_world(PairTask(), TABLE, train)
    outcome = Retrain(Retrain.Settings()).forget(model, toy_request(world, [12, 15], [40]))
    assert (outcome.status, outcome.reason) == ("applied", "")
    assert seen == [[row for row in range(len(TABLE)) if row not in (12, 15, 40)]]
    assert bool((model.user == 3.0).all())


def test_needs_no_base_model():
    assert METHODS.get("retrain") is Retrain
    assert not Retrain.needs_base


def test_may_change_everything():
    model = fresh(UserModel, TABLE)
    assert set(Retrain(Retrain.Settings()).changes(model)) == {"user", "item"}

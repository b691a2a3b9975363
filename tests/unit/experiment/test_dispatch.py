"""Who gets the next free place, and what becomes of tries that came to nothing."""

import pytest
from plan_toys import diamond, node

from erase_ray.experiment import dispatch
from erase_ray.experiment.dispatch import Dispatcher
from erase_ray.experiment.plan import Plan
from erase_ray.experiment.walk import Walk, Watcher


class Room:
    """Every node needs one CPU, and as many GPUs as its payload says."""

    def __init__(self, **total):
        self.total = total

    def of(self, node):
        return [self.claims(node)]

    def claims(self, node):
        return {"CPU": 1.0, "GPU": node.payload.get("gpus", 0.0)}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Ear(Watcher):
    def __init__(self):
        self.tries = []

    def again(self, node, kind, error, trace):
        self.tries.append((node.key, kind, error))


def dispatcher(plan, watchers=(), ahead=1, **total):
    return Dispatcher(Walk(plan, watchers), Room(**total), ahead, Clock())


def key_of(offer):
    return offer and offer[0].key


def test_hands_out_what_fits_and_one_more():
    queue = dispatcher(Plan([node(f"n{i}", seconds=9 - i) for i in range(5)]), CPU=2.0)
    assert [key_of(queue.offer()) for _ in range(4)] == ["n0", "n1", "n2", None]
    for key in ("n0", "n1"):
        queue.started(key)
    queue.ended("n0", {"status": "done"})
    assert queue.offer() is None
    queue.started("n2")
    assert key_of(queue.offer()) == "n3"


def test_rooms_are_counted_by_resource():
    nodes = [node("big", seconds=9, gpus=4.0), *(node(f"n{i}", gpus=0.5) for i in range(4))]
    queue = dispatcher(Plan(nodes), ahead=0, CPU=8.0, GPU=5.0)
    assert [key_of(queue.offer()) for _ in range(4)] == ["big", "n0", "n1", None]
    queue.ended("big", {"status": "done"})
    assert [key_of(queue.offer()) for _ in range(3)] == ["n2", "n3", None]


def test_children_follow_their_parents():
    queue, order = dispatcher(diamond(), CPU=1.0), []
    while not queue.over:
        key = key_of(queue.offer())
        order.append(key)
        queue.started(key)
        queue.ended(key, {"status": "done"})
    assert order == ["data", "base", "long", "alone", "short"]
    assert set(queue.walk.done) == set(order)


@pytest.mark.parametrize(
    ("kind", "limit"), [(dispatch.WORKER, 5), (dispatch.HUNG, 2), (dispatch.MEMORY, 1)]
)
def test_lost_workers_are_replaced_so_often(kind, limit):
    ear = Ear()
    queue = dispatcher(Plan([node("a"), node("b", "a")]), [ear], CPU=1.0)
    for _ in range(limit + 1):
        assert key_of(queue.offer()) == "a"
        queue.lost("a", kind, "gone")
    assert ear.tries == [("a", kind, "gone")] * limit
    assert queue.walk.failures == {"a": "gone"}
    assert queue.walk.blocked == {"b": "a"}
    assert queue.over


def test_lost_machines_are_no_failure():
    queue = dispatcher(Plan([node("a")]), CPU=1.0)
    for _ in range(100):
        queue.offer()
        queue.lost("a", dispatch.NODE, "preempted")
    queue.offer()
    queue.ended("a", {"status": "done"})
    assert queue.walk.failures == {}
    assert queue.walk.done == {"a": {"status": "done"}}


def test_an_error_is_tried_once_more_and_the_users_own_is_not():
    queue = dispatcher(Plan([node("a"), node("b")]), CPU=1.0)
    for error in ("ValueError: x", "ValueError: y"):
        assert key_of(queue.offer()) == "a"
        queue.ended("a", {"error": error, "trace": "t"})
    assert key_of(queue.offer()) == "b"
    queue.ended("b", {"error": "ScenarioError: no such category", "trace": "t"})
    assert queue.walk.failures == {"a": "ValueError: y", "b": "ScenarioError: no such category"}


def test_after_running_out_of_memory_the_tile_is_halved_once():
    queue = dispatcher(Plan([node("a")]), CPU=1.0)
    assert "tile" not in queue.offer()[1]
    queue.ended("a", {"error": "OutOfMemoryError: 1", "trace": "", "kind": dispatch.MEMORY})
    _, payload, _ = queue.offer()
    assert (payload["tile"], payload["attempt"]) == (0.5, 1)
    queue.ended("a", {"error": "OutOfMemoryError: 2", "trace": "", "kind": dispatch.MEMORY})
    assert queue.walk.failures == {"a": "OutOfMemoryError: 2"}


def test_what_another_driver_holds_is_offered_later_with_what_was_seen():
    queue = dispatcher(Plan([node("a")]), CPU=1.0)
    queue.offer()
    queue.started("a")
    queue.ended("a", {"status": "busy", "lease": "1/7"})
    assert queue.offer() is None
    assert not queue.over
    queue.clock.now = dispatch.BUSY_S
    assert queue.offer()[1]["seen"] == ["1/7", dispatch.BUSY_S]
    queue.ended("a", {"status": "busy", "lease": "1/7"})
    queue.clock.now = 2 * dispatch.BUSY_S
    assert queue.offer()[1]["seen"] == ["1/7", 2 * dispatch.BUSY_S]
    queue.ended("a", {"status": "busy", "lease": "1/8"})
    queue.clock.now = 3 * dispatch.BUSY_S
    assert queue.offer()[1]["seen"] == ["1/8", dispatch.BUSY_S]
    queue.ended("a", {"status": "cached"})
    assert queue.over
    assert set(queue.walk.done) == {"a"}

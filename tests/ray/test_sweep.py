"""The Tune run that walks a plan, with nodes that only take notes."""

import fake_nodes
import pytest
import ray
import wandb  # noqa: F401  Tune looks for it; when first loaded, it makes folders for itself
from local_ray import local_ray

from erase_ray.distributed.sweep import sweep
from erase_ray.errors import StoreError
from erase_ray.experiment import dispatch
from erase_ray.experiment.cost import Estimate
from erase_ray.experiment.plan import Node, Plan
from erase_ray.experiment.walk import Watcher

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Two CPUs."""
    with local_ray(2):
        yield


def node(key, *parents, seconds=1.0, done=False, **payload) -> Node:
    cost = Estimate(seconds, 100, 0.0, 0)
    return Node(key, "scif", key, {"key": key} | payload, parents, cost, True, done)


def run(nodes, folder, watchers=()):
    return sweep(Plan(nodes), str(folder), watchers, execute="fake_nodes:run")


class Listener(Watcher):
    """Writes down what it hears, and whether Tune's scratch folder was there."""

    def __init__(self, scratch):
        self.heard, self.errors, self.scratch, self.seen = [], [], scratch, set()

    def begin(self, walk):
        self.heard.append("begin")

    def started(self, node):
        self.heard.append(f"started {node.key}")

    def finished(self, node, facts):
        self.heard.append(f"finished {node.key} {facts['status']}")

    def failed(self, node, error, trace):
        self.errors.append((node.key, error, "fake_nodes.py" in trace))

    def again(self, node, kind, error, trace):
        self.heard.append(f"again {node.key} {kind}")

    def tick(self):
        self.seen.update(self.scratch.iterdir())

    def end(self):
        self.heard.append("end")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """One sweep of a plan with a bit of everything: walk, folder with the diary, listener."""
    nodes = [
        node("data"),
        node("base", "data"),
        *(node(f"c{i}", "base") for i in range(20)),
        node("last", "c0", "c3"),
        # each waits until the other has begun, while one worker was enough until now
        node("a", "base", wait_for="b"),
        node("b", "base", wait_for="a"),
        node("bad", "data", fail=True),
        node("child", "bad"),
        node("grandchild", "child"),
    ]
    folder, scratch = tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("scratch")
    listener = Listener(scratch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(scratch))
        walk = run(nodes, folder, [listener])
    return walk, folder, listener


def test_parents_end_before_children_begin(swept):
    lines = [(what, key) for what, key, _ in fake_nodes.diary(swept[1])]
    place = {line: number for number, line in enumerate(lines)}
    assert len(place) == len(lines) - 1
    assert lines.count(("begin", "bad")) == 2
    parents = [("data", "base"), ("base", "c0"), ("base", "c3"), ("c0", "last"), ("c3", "last")]
    assert all(place["end", parent] < place["begin", child] for parent, child in parents)


def test_a_failing_node_blocks_only_what_needs_it(swept):
    walk, folder, listener = swept
    assert walk.failures == {"bad": "ValueError: no luck with bad"}
    assert walk.blocked == {"child": "bad", "grandchild": "bad"}
    assert len(walk.done) == walk.total - 3
    assert walk.over
    assert listener.errors == [("bad", "ValueError: no luck with bad", True)]
    assert not {"child", "grandchild"} & set(fake_nodes.begun(folder))


def test_nodes_run_side_by_side(swept):
    assert {"a", "b"} <= set(swept[0].done)


def test_workers_are_used_again(swept):
    workers = {pid for _, _, pid in fake_nodes.diary(swept[1])}
    assert 2 <= len(workers) <= 4


def test_watchers_hear_of_everything(swept):
    walk, _, listener = swept
    assert listener.heard[:3] == ["begin", "started data", "finished data done"]
    assert listener.heard[-1] == "end"
    assert sorted(listener.heard[1:-1]) == sorted(
        [f"started {key}" for key in [*walk.done, "bad", "bad"]]
        + ["again bad error"]
        + [f"finished {key} done" for key in walk.done]
    )


def test_nothing_of_tune_is_left(swept):
    listener = swept[2]
    assert len(listener.seen) == 1
    assert list(listener.scratch.iterdir()) == []


def test_the_cluster_of_someone_else_is_not_stopped(swept):
    assert ray.is_initialized()


def test_long_paths_first(tmp_path):
    nodes = [node(f"n{seconds}", seconds=100.0 + seconds) for seconds in (1, 4, 2, 3)]
    run(nodes, tmp_path)
    # Ray may place the one handed out ahead before another, but nothing that comes later
    assert "n1" not in fake_nodes.begun(tmp_path)[:2]


def test_done_nodes_are_left_out_and_a_second_run_executes_nothing(tmp_path):
    nodes = [node("data", done=True), node("base", "data", done=True), node("c", "base")]
    run(nodes, tmp_path)
    assert fake_nodes.begun(tmp_path) == ["c"]
    finished = [node("data", done=True), node("base", "data", done=True), node("c", done=True)]
    walk = run(finished, tmp_path)
    assert walk.total == 0
    assert fake_nodes.begun(tmp_path) == ["c"]


def test_a_lost_worker_is_not_a_failure_unless_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.setitem(dispatch.LIMITS, dispatch.WORKER, 1)
    nodes = [
        node("unlucky", lose_worker="once"),
        node("hopeless", lose_worker="always"),
        node("child", "hopeless"),
        node("fine"),
    ]
    walk = run(nodes, tmp_path)
    assert set(walk.done) == {"unlucky", "fine"}
    assert list(walk.failures) == ["hopeless"]
    assert walk.failures["hopeless"].startswith("its worker died: Worker unexpectedly exits")
    assert walk.blocked == {"child": "hopeless"}
    begun = fake_nodes.begun(tmp_path)
    assert begun.count("unlucky") == begun.count("hopeless") == 2


def test_storage_in_memory_cannot_be_shared():
    with pytest.raises(StoreError, match="workers cannot reach memory://x; use a folder or an obj"):
        sweep(Plan([node("a")]), "memory://x")

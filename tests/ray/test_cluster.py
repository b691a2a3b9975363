"""Where to run, and what to reserve; none of these starts Ray."""

import socket

import pytest

from erase_ray.distributed import cluster
from erase_ray.distributed.cluster import Cluster, ClusterError
from erase_ray.distributed.resources import MB, ResourceClasses
from erase_ray.experiment.cost import Estimate
from erase_ray.experiment.plan import Node
from erase_ray.experiment.prices import Machine

pytestmark = pytest.mark.ray


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def nobody():
    """An address at which nothing listens any more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"127.0.0.1:{port}"


@pytest.fixture
def note(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "ray").mkdir()
    return tmp_path / "ray" / "ray_current_cluster"


def test_the_cluster_that_ray_start_noted(note, listening, nobody):
    assert cluster.noted_address() is None
    note.write_text(listening + "\n")
    assert cluster.noted_address() == listening
    note.write_text(nobody)
    assert cluster.noted_address() is None


def test_local_means_local(note, listening, monkeypatch):
    note.write_text(listening)
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert cluster.named_address() is None
    assert cluster.noted_address() is None


@pytest.mark.parametrize("value", ["", "auto"])
def test_auto_looks_for_the_note(note, listening, monkeypatch, value):
    monkeypatch.setenv("RAY_ADDRESS", value)
    note.write_text(listening)
    assert cluster.named_address() is None
    assert cluster.noted_address() == listening


def test_a_named_cluster(monkeypatch, listening, nobody):
    monkeypatch.setenv("RAY_ADDRESS", listening)
    assert cluster.named_address() == listening
    monkeypatch.setenv("RAY_ADDRESS", f"ray://{listening}")
    assert cluster.named_address() == f"ray://{listening}"
    monkeypatch.setenv("RAY_ADDRESS", nobody)
    with pytest.raises(ClusterError, match=f"no Ray cluster answers at {nobody}; see RAY_ADDRESS"):
        cluster.named_address()


def node(memory_mb, gpu_share=0.0) -> Node:
    return Node(str(memory_mb), "x", "x", {}, (), Estimate(1, memory_mb, gpu_share, 0), True, False)


def machine(cpus=4, gpus=0.0, memory=16_000 * MB, largest=None) -> Cluster:
    return Cluster(False, cpus, gpus, memory, largest or memory)


def test_one_class_where_the_largest_fits_on_every_cpu():
    classes = ResourceClasses([node(300), node(3500)], machine())
    same = {"CPU": 1, "memory": 4000 * MB}
    assert classes.of(node(300)) == classes.of(node(3500)) == [same]
    assert classes.slots == 4


def test_powers_of_two_where_it_does_not():
    classes = ResourceClasses([node(300), node(1200), node(5000)], machine())
    memory = [classes.of(node(mb))[0]["memory"] // MB for mb in (300, 1000, 1200, 5000)]
    assert memory == [1000, 1000, 2000, 8000]
    assert classes.slots == 4


def test_what_is_too_large_gets_the_largest_machine():
    classes = ResourceClasses([node(50_000)], machine(largest=12_000 * MB))
    assert classes.of(node(50_000))[0]["memory"] == 12_000 * MB
    assert classes.slots == 1


def test_shares_of_a_gpu():
    nodes = [node(500), node(500, 0.25), node(500, 0.5)]
    classes = ResourceClasses(nodes, machine(cpus=16, gpus=1))
    assert [classes.of(n)[0].get("GPU") for n in nodes] == [None, 0.25, 0.5]
    assert classes.slots == 16
    assert ResourceClasses(nodes[1:], machine(cpus=16, gpus=1)).slots == 4


def test_a_cluster_that_grows_has_what_is_promised():
    promised = Machine(
        instance="small", count=4, prices={"small": {"cpus": 8, "gpus": 1, "memory_gb": 32}}
    )
    empty = Cluster(False, 0, 0.0, 0, 0)
    classes = ResourceClasses([node(500, 0.5)], empty, promised)
    assert classes.total == {"CPU": 32, "GPU": 4, "memory": 128e9}
    classes.resize(Cluster(False, 40, 2.0, 10, 10))
    assert classes.total == {"CPU": 40, "GPU": 4, "memory": 128e9}
    # a Ray that was started here does not grow, nor does one of which nothing is promised
    here = Cluster(True, 2, 0.0, 4_000 * MB, 4_000 * MB)
    assert ResourceClasses([node(500)], here, promised).total["CPU"] == 2
    assert ResourceClasses([node(500)], machine(), Machine(slots=64)).total["CPU"] == 4

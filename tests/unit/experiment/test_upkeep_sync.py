import pytest
import torch
from upkeep_toys import BASE, SCIF, SEIF, cell, filled, put, table

from erase_ray.errors import SettingsError, StoreError
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.journal import Snapshot
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep import sync as module
from erase_ray.experiment.upkeep.sync import Copied, sync
from erase_ray.experiment.upkeep.verify import verify


@pytest.fixture(params=["local", "memory"])
def target(request, tmp_path):
    local = request.param == "local"
    return open_blobs(str(tmp_path / "target") if local else f"memory://sync{tmp_path}")


@pytest.fixture
def home(tmp_path):
    store, *names = filled(str(tmp_path / "source"))
    return store, open_blobs(str(tmp_path / "source")), names


def content(blobs):
    return {entry.name: blobs.read(entry.name) for entry in blobs.entries("")}


def test_a_copy_has_the_same_bytes_and_the_source_keeps_its_own(home, target):
    store, source, _ = home
    before = content(source)
    copied = sync(source, target)
    assert content(target) == content(source) == before
    size = sum(map(len, before.values()))
    assert copied == Copied(folders=3, weights=3, runs=1, size=size, there=0)
    again = sync(source, target)
    assert again == Copied(folders=0, weights=0, runs=0, size=0, there=3)
    assert verify(target).findings == []
    assert store.done_cells() == Store(target.full_address).done_cells()


def test_what_nobody_names_and_what_runs_stays_behind(home, target):
    store, source, (base, first, second) = home
    lost = store.put_weights({"w": torch.ones(3)})
    store.journal("9a" * 32, {}).save(Snapshot(1, {}, {"w": torch.ones(3)}))
    source.write(f"{cell(SCIF)}/live/a.jsonl", b"{}\n")
    source.write(f"{cell('9b' * 32)}/results.parquet", b"half")
    sync(source, target)
    weights = {name for name in content(target) if name.startswith("weights/")}
    assert weights == {f"weights/{sha}" for sha in (base, first, second)}
    assert lost not in weights
    assert {name.split("/")[2] for name in target.names("cells")} == {BASE, SCIF, SEIF}
    assert not [name for name in content(target) if "/live/" in name or "/journal/" in name]


@pytest.mark.parametrize("kind", ["adopt", "create"])
@pytest.mark.parametrize("most", range(5))
def test_a_copy_broken_off_anywhere_is_valid_and_goes_on(home, target, monkeypatch, kind, most):
    _, source, _ = home
    monkeypatch.setattr("erase_ray.experiment.upkeep.inventory.READERS", 1)
    calls = []
    inner = getattr(target, kind)

    def limited(*arguments, **options):
        calls.append(arguments)
        if len(calls) > most:
            raise KeyboardInterrupt
        return inner(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(target, kind, limited)
        if kind == "create" or most < 3:
            with pytest.raises(KeyboardInterrupt):
                sync(source, target)
    assert verify(target).findings == []
    sync(source, target)
    assert content(target) == content(source)


def test_nothing_that_is_there_is_overwritten(home, target):
    _, source, _ = home
    other = Store(target.full_address)
    put(other, SCIF, "scif", {}, writer="another")
    other.put_run("r1", "plan.json", "[]")
    before = content(target)
    copied = sync(source, target)
    assert (copied.folders, copied.there, copied.runs) == (2, 1, 0)
    after = content(target)
    assert {name: after[name] for name in before} == before
    assert verify(target).findings == []


def test_a_commit_that_someone_began_is_completed_with_their_files(home, target):
    _, source, _ = home
    theirs = Store(target.full_address)
    put(theirs, SCIF, "scif", {}, writer="another")
    folder = cell(SCIF)
    files = {name.rpartition("/")[2]: target.read(name) for name in target.names(folder)}
    target.clear(folder)
    target.write(f"{folder}/pending", module.commit_copy.__globals__["_pack"](files))
    sync(source, target)
    assert theirs.manifest(SCIF)["facts"]["writer"] == "another"
    assert verify(target).findings == []


def test_truncated_weights_of_the_target_are_copied_again(home, target):
    _, source, (base, _, _) = home
    target.write(f"weights/{base}", b"half")
    sync(source, target)
    assert content(target) == content(source)


def test_damage_of_the_source_does_not_spread(home, target):
    _, source, (base, _, _) = home
    data = source.read(f"weights/{base}")
    source.write(f"weights/{base}", data[:-1] + b"?")
    message = rf"^weights/{base} at .* does not have the SHA-256 of its name; see 'erase-ray store"
    with pytest.raises(StoreError, match=message):
        sync(source, target)
    assert content(target) == {}
    source.remove(f"weights/{base}")
    with pytest.raises(
        StoreError, match=rf"^weights/{base} is not at .*; see 'erase-ray store ver"
    ):
        sync(source, target)
    source.write(f"weights/{base}", data)
    source.write(f"{cell(SCIF)}/log.jsonl", b"{}\n")
    with pytest.raises(StoreError, match=r"log.jsonl at .* is missing or not what was committed"):
        sync(source, target)
    assert not target.exists(f"{cell(SCIF)}/manifest.json")
    assert verify(target).findings == []


def test_some_cells_come_with_their_data_and_weights_alone(home, target):
    store, source, (base, first, second) = home
    put(store, "1a" * 32, "gif", {"1": store.put_weights({"w": torch.ones(9)})}, data_key="d2")
    for name in ("data/toy/d1", "data/toy/d1/chains/c1", "data/toy/d2"):
        manifest = b'{"format": 1, "files": {"a": {"sha256": "%s", "size": 0}}}'
        source.write(f"{name}/a", b"")
        empty = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        source.write(f"{name}/manifest.json", manifest % empty)
    copied = sync(source, target, only="method=scif|none,dataset=toy", runs=False)
    assert (copied.folders, copied.weights, copied.runs) == (3, 3, 0)
    assert {name.rpartition("/")[2] for name in target.names("weights")} == {base, first, second}
    manifests = [name for name in target.names("") if name.endswith("manifest.json")]
    assert manifests == [
        f"{cell(SCIF)}/manifest.json",
        "data/toy/d1/chains/c1/manifest.json",
        "data/toy/d1/manifest.json",
    ]
    same = Store(target.full_address).get_weights(second)["w"]
    assert torch.equal(same, table(2.0)["w"])
    assert sync(source, target).there == 3


@pytest.mark.parametrize("only", ["colour=red", "method", "=x"])
def test_keys_that_cells_do_not_have_are_refused(home, target, only):
    with pytest.raises(SettingsError, match=rf"--only {only}: expected key=value with a key of "):
        sync(home[1], target, only)

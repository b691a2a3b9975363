import json
import pickle

import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch

from erase_ray.errors import EraseError, StoreError
from erase_ray.experiment.cell import Part
from erase_ray.experiment.plain_weights import read_plain, write_plain
from erase_ray.methods import METHODS
from erase_ray.models import MODELS, Shape

SHAPE = Shape(num_users=5, num_items=7)
IDS = {"user": [f"u{n}" for n in range(5)], "item": [f"item {n}/ü" for n in range(7)]}


def fresh(name, settings=None):
    model = Part.resolved(MODELS, name, settings or {}).build(MODELS, SHAPE)
    model.reset(torch.Generator().manual_seed(1))
    return model


def written(folder, model, **more):
    values = model.settings.model_dump(mode="json")
    return write_plain(folder, model.name, values, SHAPE, model.state_dict(), {"file": "x"}, **more)


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def same_bits(left, right):
    assert sorted(left) == sorted(right)
    for name, tensor in left.items():
        assert (tensor.dtype, tensor.shape) == (right[name].dtype, right[name].shape)
        assert torch.equal(bits(tensor), bits(right[name])), name


@pytest.mark.parametrize("name", MODELS.names())
def test_every_model_comes_back_bit_for_bit(tmp_path, name):
    model = fresh(name)
    plain = read_plain(written(tmp_path / "w", model, vocabulary=IDS))
    same_bits(plain.state, model.state_dict())
    again = plain.build()
    assert type(again) is type(model)
    assert again.settings == model.settings
    same_bits(again.state_dict(), model.state_dict())
    assert {kind: list(ids) for kind, ids in (plain.vocabulary or {}).items()} == IDS


def test_the_files_are_what_is_promised(tmp_path):
    model = fresh("bpr")
    folder = written(tmp_path / "a" / "w", model, vocabulary=IDS)
    names = {"model.safetensors", "model.json", "vocabulary.parquet"}
    assert {path.name for path in folder.iterdir()} == names
    assert [path.name for path in folder.parent.iterdir()] == ["w"]
    facts = json.loads((folder / "model.json").read_text())
    assert facts["format"] == 1
    assert facts["model"] == "bpr"
    assert facts["task"] == model.task
    assert facts["settings"] == model.settings.model_dump(mode="json")
    assert facts["shape"] == {"num_users": 5, "num_items": 7}
    assert facts["version"] == model.version
    assert facts["source"] == {"file": "x"}
    assert facts["vocabulary"] == "vocabulary.parquet"
    same_bits(safetensors.torch.load_file(folder / "model.safetensors"), model.state_dict())
    table = pq.read_table(folder / "vocabulary.parquet").to_pydict()
    assert table["kind"] == ["user"] * 5 + ["item"] * 7
    assert table["id"] == IDS["user"] + IDS["item"]
    assert table["index"] == [*range(5), *range(7)]


def test_an_ensemble_is_built_by_its_method(tmp_path):
    method = Part.resolved(METHODS, "sisa", {"shards": 2})
    base = Part.resolved(MODELS, "bpr", {})
    ensemble = method.build(METHODS).build(lambda: base.build(MODELS, SHAPE))
    ensemble.shard_U[2] = 1
    state = ensemble.state_dict()
    write_plain(tmp_path / "w", "bpr", base.settings, SHAPE, state, {}, method=method)
    same_bits(read_plain(tmp_path / "w").build().state_dict(), state)


def test_equal_weights_give_equal_bytes_and_sources_lose_their_secrets(tmp_path):
    model = fresh("bpr")
    source = {"store": "s3://me:word@bucket/x?token=abc", "mark": 4}
    folders = []
    for name in "ab":
        args = ("bpr", {}, SHAPE, model.state_dict(), source, IDS)
        folders.append(write_plain(tmp_path / name, *args))
    contents = [{p.name: p.read_bytes() for p in folder.iterdir()} for folder in folders]
    assert contents[0] == contents[1]
    told = read_plain(folders[0]).facts.source
    assert told == {"store": "s3://bucket/x?token=***", "mark": 4}


def test_nothing_is_written_over_and_a_failed_write_leaves_nothing(tmp_path):
    model = fresh("bpr")
    written(tmp_path / "w", model)
    with pytest.raises(StoreError, match=r"w exists; name another folder, or delete it"):
        written(tmp_path / "w", model)
    with pytest.raises(StoreError, match="6 outer ids of users, the model has 5"):
        written(tmp_path / "v", model, vocabulary={"user": list("abcdef")})
    with pytest.raises(StoreError, match="2 outer ids of items, the model has 7"):
        written(tmp_path / "v", model, vocabulary={"item": ["a", "b"]})
    with pytest.raises(StoreError, match="outer ids of 'tag'; known kinds: user, item"):
        written(tmp_path / "v", model, vocabulary={"tag": []})
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        written(tmp_path / "file" / "v", model)
    assert {path.name for path in tmp_path.iterdir()} == {"w", "file"}


def test_tensors_must_be_the_models(tmp_path):
    model = fresh("bpr")
    state = dict(model.state_dict())
    name, other = sorted(state)[:2]
    wrong = state | {name: state[name][:2], "surplus": torch.zeros(1)}
    wrong[other] = wrong[other].double()
    with pytest.raises(StoreError) as caught:
        write_plain(tmp_path / "w", "bpr", {}, SHAPE, wrong, {})
    text = str(caught.value)
    assert "not weights of 'bpr'" in text
    assert "surplus is not the model's" in text
    assert f"{name} has the shape {list(wrong[name].shape)}, expected" in text
    assert f"{other} has the type float64, expected float32" in text
    del state[name]
    with pytest.raises(StoreError, match=f"{name} is missing"):
        write_plain(tmp_path / "w", "bpr", {}, SHAPE, state, {})


@pytest.fixture
def folder(tmp_path):
    return written(tmp_path / "w", fresh("bpr"), vocabulary=IDS)


def edit(folder, **changes):
    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(facts | changes))


def test_a_folder_of_something_else_is_refused(tmp_path, folder):
    with pytest.raises(StoreError, match=r"is no folder of plain weights: cannot read model.json"):
        read_plain(tmp_path)
    edit(folder, format=2)
    with pytest.raises(StoreError, match="has the format 2, this version reads 1"):
        read_plain(folder)
    (folder / "model.json").write_text("[1]")
    with pytest.raises(StoreError, match="has the format None"):
        read_plain(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(StoreError, match="is not JSON"):
        read_plain(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": {"num_users": 5}}, "shape.num_items: Field required"),
        ({"author": "x"}, "author: Extra inputs are not permitted"),
        ({"vocabulary": "../other.parquet"}, r"vocabulary must be 'vocabulary.parquet', got"),
        ({"sha256": "0" * 64}, "model.safetensors is damaged"),
        ({"shape": {"num_users": 4, "num_items": 7}}, "5 outer ids of users, the model has 4"),
    ],
)
def test_faulty_facts_are_told(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(EraseError, match=message):
        read_plain(folder)


class Exploit:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


@pytest.mark.parametrize("content", [pickle.dumps(Exploit()), b"", b"\xff" * 40])
def test_only_safetensors_are_read(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    edit(folder, sha256=None)
    with pytest.raises(StoreError, match="is not a safetensors file"):
        read_plain(folder)


def test_missing_and_damaged_files_are_named(folder):
    (folder / "vocabulary.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match=r"cannot read .*vocabulary.parquet"):
        read_plain(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(StoreError, match=r"has no model.safetensors"):
        read_plain(folder)


def test_a_model_of_another_version_is_not_built(folder):
    edit(folder, version=99)
    with pytest.raises(StoreError, match="version 99 of model 'bpr', this is version"):
        read_plain(folder).build()


def test_tensors_are_checked_when_the_model_is_built(folder):
    safetensors.torch.save_file({"a": torch.zeros(1)}, folder / "model.safetensors")
    edit(folder, sha256=None)
    with pytest.raises(StoreError, match="a is not the model's"):
        read_plain(folder).build()

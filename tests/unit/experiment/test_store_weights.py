import hashlib
import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file

from erase_ray.errors import StoreError
from erase_ray.experiment import weights
from erase_ray.experiment._deltas import difference, patched
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.weights import MAX_DEPTH, get_weights, put_weights


@pytest.fixture(params=["local", "memory"])
def blobs(request, tmp_path):
    local = request.param == "local"
    return open_blobs(str(tmp_path) if local else f"memory://weights{tmp_path}")


@pytest.fixture
def folder(tmp_path):
    return open_blobs(str(tmp_path))


def table(rows=6, columns=4):
    return torch.arange(rows * columns, dtype=torch.float32).reshape(rows, columns)


def same_bits(left, right):
    assert list(left) == sorted(right)
    for name, tensor in right.items():
        assert left[name].dtype == tensor.dtype
        assert left[name].shape == tensor.shape
        raw = [t.contiguous().reshape(-1).view(torch.uint8) for t in (left[name], tensor)]
        assert torch.equal(*raw), name


def header(tmp_path, sha):
    with safe_open(tmp_path / "weights" / sha, framework="pt") as file:
        return json.loads(file.metadata()["erase_ray"]), sorted(file.keys())


ODD = {
    "scalar": torch.tensor(1.5),
    "flag": torch.tensor(True),
    "empty": torch.zeros(0, 3),
    "hollow": torch.zeros(3, 0),
    "ids": torch.tensor([1, -(2**62)]),
    "flags": torch.tensor([[True, False], [False, False]]),
    "half": torch.tensor([1.0, math.nan], dtype=torch.bfloat16),
    "nan": torch.tensor([math.nan, -0.0, math.inf]),
    "turned": torch.arange(6.0).reshape(2, 3).T,
}


def test_weights_of_any_shape_and_type_come_back_bit_for_bit(blobs):
    same_bits(get_weights(blobs, put_weights(blobs, ODD)), ODD)


def test_name_is_the_sha256_of_the_file_and_equal_weights_share_it(folder, tmp_path):
    sha = put_weights(folder, {"b": table(), "a": torch.ones(2)})
    again = put_weights(folder, {"a": torch.ones(2), "b": table().clone()})
    assert again == sha
    files = list((tmp_path / "weights").iterdir())
    assert [file.name for file in files] == [sha]
    assert hashlib.sha256(files[0].read_bytes()).hexdigest() == sha


def test_content_that_is_there_is_not_written_again(folder, monkeypatch):
    put_weights(folder, {"a": table()})
    monkeypatch.setattr(folder, "adopt", lambda *_: pytest.fail("written twice"))
    put_weights(folder, {"a": table()})


def test_tied_weights_are_stored_as_two(blobs):
    shared = table()
    sha = put_weights(blobs, {"a": shared, "b": shared, "c": shared[2:]})
    same_bits(get_weights(blobs, sha), {"a": shared, "b": shared, "c": shared[2:]})


def test_a_delta_holds_the_changed_rows_alone(folder, tmp_path):
    parent = {"items": table(100), "bias": torch.zeros(100), "users": table(3)}
    base = put_weights(folder, parent)
    child = {name: tensor.clone() for name, tensor in parent.items()}
    child["items"][[7, 41]] += 1.0
    child["bias"][41] = -0.0
    sha = put_weights(folder, child, parent=base)
    facts, names = header(tmp_path, sha)
    assert facts == {"kind": "delta", "depth": 1, "parent": base, "same": ["users"]}
    assert names == ["ids:bias", "ids:items", "rows:bias", "rows:items"]
    stored = load_file(tmp_path / "weights" / sha)
    assert stored["ids:items"].tolist() == [7, 41]
    assert stored["ids:items"].dtype == torch.int64
    assert torch.equal(stored["rows:items"], child["items"][[7, 41]])
    assert stored["ids:bias"].tolist() == [41]
    same_bits(get_weights(folder, sha), child)
    same_bits(get_weights(folder, base), parent)


def test_nan_equals_itself_and_minus_zero_is_a_change():
    old = {"w": torch.tensor([[math.nan] * 8, [0.0] * 8, [1.0] * 8])}
    new = {"w": old["w"].clone()}
    assert difference(new, old) == (["w"], {})
    new["w"][1, 3] = -0.0
    same, parts = difference(new, old)
    assert same == []
    assert parts["ids:w"].tolist() == [1]


def test_mostly_changed_tensors_are_stored_whole(blobs):
    parent = {"w": table(10, 4), "v": table(100, 4)}
    child = {"w": table(10, 4) + 1, "v": table(100, 4)}
    same, parts = difference(child, parent)
    assert (same, list(parts)) == (["v"], ["whole:w"])
    sha = put_weights(blobs, child, put_weights(blobs, parent))
    same_bits(get_weights(blobs, sha), child)


def test_a_delta_that_is_not_smaller_becomes_a_full_copy(folder, tmp_path):
    base = put_weights(folder, {"w": table()})
    sha = put_weights(folder, {"w": table() + 1}, parent=base)
    assert header(tmp_path, sha)[0] == {"kind": "full", "depth": 0}
    assert sha == put_weights(folder, {"w": table() + 1})


def test_unchanged_weights_have_the_name_of_their_parent(blobs):
    base = put_weights(blobs, ODD)
    assert put_weights(blobs, ODD, parent=base) == base


def test_names_shapes_and_types_may_change(blobs):
    parent = {"a": table(50), "b": table(2), "gone": table(2), "type": torch.ones(4)}
    child = {"a": table(50), "b": table(3), "new": table(1), "type": torch.ones(4).int()}
    sha = put_weights(blobs, child, put_weights(blobs, parent))
    same_bits(get_weights(blobs, sha), child)


def test_only_a_lost_tensor_is_a_change_too(blobs):
    base = put_weights(blobs, {"a": table(), "b": table()})
    sha = put_weights(blobs, {"a": table()}, parent=base)
    same_bits(get_weights(blobs, sha), {"a": table()})


def test_long_chains_are_cut_by_a_full_copy(folder, tmp_path):
    current = {"w": table(100)}
    sha, kinds, versions = put_weights(folder, current), [], []
    for step in range(MAX_DEPTH + 2):
        current["w"][step] += 0.5
        sha = put_weights(folder, current, parent=sha)
        kinds.append(header(tmp_path, sha)[0]["kind"])
        versions.append((sha, current["w"].clone()))
    assert kinds == ["delta"] * MAX_DEPTH + ["full", "delta"]
    for name, expected in versions:
        same_bits(get_weights(folder, name), {"w": expected})


def test_editing_what_was_read_does_not_touch_the_store(folder):
    sha = put_weights(folder, {"w": table(), "v": table()})
    for _ in range(2):
        read = get_weights(folder, sha)
        assert torch.equal(read["w"], table())
        read["w"].fill_(9.0)


values = st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, 1e-45])
matrices = st.lists(st.tuples(values, values, values, values), min_size=1, max_size=12)


@given(old=matrices, data=st.data())
def test_patching_undoes_the_difference(old, data):
    new = [data.draw(st.one_of(st.just(row), st.tuples(*[values] * 4))) for row in old]
    parent, child = {"w": torch.tensor(old)}, {"w": torch.tensor(new)}
    same_bits(patched({"w": parent["w"].clone()}, *difference(child, parent)), child)


def test_corrupt_weights_are_named(folder, tmp_path):
    sha = put_weights(folder, {"w": table()})
    path = tmp_path / "weights" / sha
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    message = (
        rf"^weights/{sha} at {tmp_path} is corrupt: its bytes do not have the SHA-256 of its name. "
        "Delete it and the cells whose manifests name it, and run the same command again$"
    )
    with pytest.raises(StoreError, match=message):
        get_weights(folder, sha)
    assert get_weights(folder, sha, verify=False)["w"][0, 1] == 1.0


def test_a_corrupt_parent_is_found(folder, tmp_path):
    base = put_weights(folder, {"w": table(100)})
    child = table(100)
    child[3] = 0
    sha = put_weights(folder, {"w": child}, parent=base)
    (tmp_path / "weights" / base).write_bytes(b"")
    with pytest.raises(StoreError, match=rf"^weights/{base} at .* is corrupt"):
        get_weights(folder, sha)


def test_truncated_weights_are_written_again(folder, tmp_path):
    sha = put_weights(folder, {"w": table()})
    path = tmp_path / "weights" / sha
    path.write_bytes(path.read_bytes()[:-3])
    assert put_weights(folder, {"w": table()}) == sha
    same_bits(get_weights(folder, sha), {"w": table()})


@pytest.mark.parametrize("data", [b"", b"no weights at all"])
def test_files_that_are_no_weights_are_refused_without_verification(folder, tmp_path, data):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / ("0" * 64)).write_bytes(data)
    with pytest.raises(StoreError, match=r"^weights/0{64} at .* is corrupt: "):
        get_weights(folder, "0" * 64, verify=False)


def test_missing_weights_are_named(blobs):
    with pytest.raises(StoreError, match=r"^weights/0{64} is not at .*Delete the cells whose"):
        get_weights(blobs, "0" * 64)


@pytest.mark.parametrize("name", ["../secret", "abc", "A" * 64])
def test_names_that_are_no_hash_are_refused(blobs, name):
    with pytest.raises(StoreError, match="is no name of weights; expected 64 hexadecimal digits"):
        get_weights(blobs, name)


def test_a_chain_without_end_is_refused(folder, tmp_path, monkeypatch):
    base = put_weights(folder, {"w": table(100)})
    for row in range(2):
        child = get_weights(folder, base)
        child["w"][row] = -1
        base = put_weights(folder, child, parent=base)
    monkeypatch.setattr(weights, "MAX_DEPTH", 1)
    with pytest.raises(StoreError, match="more than 1 deltas in a row"):
        get_weights(folder, base)

import hashlib
import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from erase_ray.errors import StoreError
from erase_ray.experiment import _packed, weights
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


FULL = '{"depth": 0, "kind": "full"}'


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


def test_content_that_is_there_is_not_written_again(folder, tmp_path):
    file = tmp_path / "weights" / put_weights(folder, {"a": table()})
    before = file.stat()
    put_weights(folder, {"a": table()})
    # a file that is moved in is another inode
    assert file.stat().st_ino == before.st_ino
    assert len(list(file.parent.iterdir())) == 1


def test_tied_weights_are_stored_as_two(blobs):
    shared = table()
    sha = put_weights(blobs, {"a": shared, "b": shared, "c": shared[2:]})
    same_bits(get_weights(blobs, sha), {"a": shared, "b": shared, "c": shared[2:]})


def test_a_packed_file_holds_what_changed_alone(folder, tmp_path):
    parent = {"items": table(100), "bias": torch.zeros(100), "users": table(3)}
    base = put_weights(folder, parent)
    child = {name: tensor.clone() for name, tensor in parent.items()}
    child["items"][[7, 41]] += 1.0
    child["bias"][41] = -0.0
    sha = put_weights(folder, child, parent=base)
    facts, names = header(tmp_path, sha)
    changed = child["bias"][41].numpy().tobytes() + child["items"][[7, 41]].numpy().tobytes()
    form = {"dtype": "torch.float32", "from": "parent"}
    assert facts == {
        "kind": "packed",
        "depth": 1,
        "parent": base,
        "same": ["users"],
        "packed": {"bias": form | {"shape": [100]}, "items": form | {"shape": [100, 4]}},
        "digest": hashlib.sha256(changed).hexdigest(),
    }
    assert names == ["data:bias", "data:items", "index:bias", "index:items"]
    stored = load_file(tmp_path / "weights" / sha)
    # first chunk, one row with one entry; two rows with eight entries
    assert stored["index:bias"][:, :3].tolist() == [[0, 1, 1]]
    assert stored["index:items"][:, :3].tolist() == [[0, 2, 8]]
    same_bits(get_weights(folder, sha), child)
    same_bits(get_weights(folder, base), parent)


def test_a_step_to_the_next_number_packs_to_nearly_nothing(folder, tmp_path):
    old = torch.randn(500, 64, generator=torch.Generator().manual_seed(0))
    base = put_weights(folder, {"w": old})
    up = torch.nextafter(old, torch.full_like(old, math.inf))
    sha = put_weights(folder, {"w": up}, parent=base)
    same_bits(get_weights(folder, sha), {"w": up})
    assert (tmp_path / "weights" / sha).stat().st_size < 0.02 * old.nbytes


def test_packed_weights_are_the_same_bytes_again(folder):
    old = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    base = put_weights(folder, {"w": old})
    names = {put_weights(folder, {"w": old * 1.001}, parent=base) for _ in range(2)}
    assert len(names) == 1


def test_tensors_of_several_chunks_are_packed_one_after_the_other(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(_packed, "CHUNK", 40)
    base = put_weights(folder, {"w": table(100)})
    child = table(100)
    child[[9, 10, 99]] += 1
    sha = put_weights(folder, {"w": child}, parent=base)
    stored = load_file(tmp_path / "weights" / sha)
    assert stored["index:w"][:, :3].tolist() == [[0, 1, 4], [1, 1, 4], [9, 1, 4]]
    same_bits(get_weights(folder, sha), {"w": child})


def test_the_parent_or_the_full_copy_is_packed_from_whichever_is_smaller(folder, tmp_path):
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(200, 16, generator=generator)
    second = torch.randn(200, 16, generator=generator)
    third = second.clone()
    third[5] += 1
    names = [put_weights(folder, {"w": first, "v": torch.zeros(4000)})]
    for tensor in (second, third, first + 1e-6):
        names.append(put_weights(folder, {"w": tensor, "v": torch.zeros(4000)}, names[-1]))
    parents = [header(tmp_path, name)[0].get("parent") for name in names]
    assert parents == [None, names[0], names[1], names[0]]
    same_bits(get_weights(folder, names[2]), {"w": third, "v": torch.zeros(4000)})


def test_what_unpacks_to_something_else_is_refused(folder, tmp_path):
    base = put_weights(folder, {"w": table(100)})
    child = table(100)
    child[3] += 1
    sha = put_weights(folder, {"w": child}, parent=base)
    wrong = table(100)
    wrong[3] += 5
    save_file({"w": wrong}, tmp_path / "weights" / base, {"erase_ray": FULL})
    message = rf"^weights/{sha} at .* is corrupt: what it unpacks to does not have the SHA-256"
    with pytest.raises(StoreError, match=message):
        get_weights(folder, sha, verify=False)


def test_a_piece_that_is_no_zstandard_is_refused(folder, tmp_path):
    base = put_weights(folder, {"w": torch.zeros(1000, 8)})
    sha = put_weights(folder, {"w": torch.ones(1000, 8)}, parent=base)
    path = tmp_path / "weights" / sha
    facts, parts = header(tmp_path, sha)[0], load_file(path)
    parts["data:w"] = torch.zeros_like(parts["data:w"])
    save_file(parts, path, {"erase_ray": json.dumps(facts)})
    with pytest.raises(StoreError, match=rf"^weights/{sha} .* a piece of it cannot be unpacked: "):
        get_weights(folder, sha, verify=False)


def test_row_deltas_of_earlier_versions_are_read(folder, tmp_path):
    parent = {"bias": torch.zeros(3), "items": table(100), "users": table(3)}
    base = put_weights(folder, parent)
    ids, rows = torch.tensor([7, 41]), torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    facts = {"kind": "delta", "depth": 1, "parent": base, "same": ["users"]}
    parts = {"ids:items": ids, "rows:items": rows, "whole:bias": torch.ones(3)}
    save_file(parts, tmp_path / "old", {"erase_ray": json.dumps(facts)})
    sha = hashlib.sha256((tmp_path / "old").read_bytes()).hexdigest()
    (tmp_path / "old").rename(tmp_path / "weights" / sha)
    child = parent | {"bias": torch.ones(3), "items": table(100)}
    child["items"][ids] = rows
    same_bits(get_weights(folder, sha), child)
    child["users"] = table(3) + 1
    same_bits(get_weights(folder, put_weights(folder, child, parent=sha)), child)


def test_weights_in_the_trash_are_found(folder, tmp_path):
    base = put_weights(folder, {"w": table()})
    folder.move(f"weights/{base}", f"trash/123/{base}")
    assert not (tmp_path / "weights" / base).exists()
    same_bits(get_weights(folder, base), {"w": table()})
    assert put_weights(folder, {"w": table()}) == base
    assert (tmp_path / "weights" / base).exists()


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


def test_long_chains_begin_again_at_the_full_copy(folder, tmp_path):
    current = {"w": table(100)}
    base = sha = put_weights(folder, current)
    depths, versions = [], []
    for step in range(MAX_DEPTH + 2):
        current["w"] += 0.5
        current["w"][step] = 7.0 * step
        # from the full copy everything differs, in ways that do not pack
        current["w"] *= torch.rand(100, 4, generator=torch.Generator().manual_seed(0)).clamp(0.5)
        sha = put_weights(folder, current, parent=sha)
        depths.append(header(tmp_path, sha)[0]["depth"])
        versions.append((sha, current["w"].clone()))
    assert max(depths) <= MAX_DEPTH
    for name, expected in versions:
        same_bits(get_weights(folder, name), {"w": expected})
    deep = base
    for step in range(MAX_DEPTH + 1):
        changed = get_weights(folder, deep)
        changed["w"][step] = -1
        deep = (
            _forced(folder, changed, deep)
            if step < MAX_DEPTH
            else put_weights(folder, changed, deep)
        )
    assert header(tmp_path, deep)[0]["depth"] == 1
    assert header(tmp_path, deep)[0]["parent"] == base


def _forced(folder, tensors, parent):
    """Differences from the parent, even if those from the full copy are smaller."""
    old = get_weights(folder, parent)
    facts, parts = _packed.packed(tensors, old)
    depth = len(weights._line(folder, parent, True))
    own = {"kind": "packed", "depth": depth, "parent": parent}
    return weights._save(folder, parts, own | facts)


def test_editing_what_was_read_does_not_touch_the_store(folder):
    sha = put_weights(folder, {"w": table(), "v": table()})
    for _ in range(2):
        read = get_weights(folder, sha)
        assert torch.equal(read["w"], table())
        read["w"].fill_(9.0)


BITS = [torch.int8, torch.int16, torch.int32, torch.int64]
FLOATS = {torch.int16: torch.bfloat16, torch.int32: torch.float32, torch.int64: torch.float64}


@pytest.mark.parametrize("kind", BITS)
@pytest.mark.parametrize("as_float", [True, False])
def test_any_bits_are_packed_from_any_others(kind, as_float):
    generator = torch.Generator().manual_seed(0)
    least, most = torch.iinfo(kind).min, torch.iinfo(kind).max
    edges = torch.tensor([least, least + 1, -1, 0, 1, most], dtype=kind)
    grid = [edges.repeat_interleave(6), edges.repeat(6)]
    drawn = torch.randint(least, most, (2, 300), generator=generator, dtype=kind)
    old, new = (torch.cat(pair) for pair in zip(grid, drawn, strict=True))
    if as_float:
        old, new = (t.view(FLOATS.get(kind, kind)) for t in (old, new))
    facts, parts = _packed.packed({"w": new}, {"w": old})
    same_bits(_packed.unpacked({"w": old.clone()}, facts, parts), {"w": new})


values = st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, 1e-45])
matrices = st.lists(st.tuples(values, values, values, values), min_size=1, max_size=12)


@given(old=matrices, data=st.data())
def test_patching_undoes_the_difference(old, data):
    new = [data.draw(st.one_of(st.just(row), st.tuples(*[values] * 4))) for row in old]
    parent, child = {"w": torch.tensor(old)}, {"w": torch.tensor(new)}
    same_bits(patched({"w": parent["w"].clone()}, *difference(child, parent)), child)
    same_bits(_packed.unpacked({"w": parent["w"].clone()}, *_packed.packed(child, parent)), child)


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

"""What the restricted reader admits."""

import io
import pickle
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hostile_files import stack_global, text

from erase_ray.imports.errors import ForeignFileError
from erase_ray.imports.unpickle import Inert, InertClass, read

PLAIN = {
    "none": None,
    "truth": [True, False],
    "numbers": (1, -7, 2**40, -(2**70), 0.5, float("inf"), 2 + 3j),
    "texts": ["", "a", "Überraschung", "x" * 300],
    "bytes": [b"", b"\x00\xff" * 200, bytearray(b"ab")],
    "sets": [set(), {1, "a", None}, frozenset({2.5})],
    "nested": {("a", 1): [{"b": ()}], 3: OrderedDict([("x", [1])])},
}


def written(tmp_path, data: bytes, name: str = "file.pkl"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values(tmp_path, protocol):
    found = read(written(tmp_path, pickle.dumps(PLAIN, protocol)))
    assert found == PLAIN
    assert type(found["nested"][3]) is OrderedDict


@pytest.mark.parametrize("protocol", range(6))
def test_shared_parts_stay_shared(tmp_path, protocol):
    part = [1]
    found = read(written(tmp_path, pickle.dumps([part, part, {"a": part}], protocol)))
    assert found[0] is found[1] is found[2]["a"]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", ["<i4", ">i8", "?", "u1", "<f2", "f4", ">f8"])
def test_arrays_and_numbers_of_numpy(tmp_path, protocol, kind):
    array = np.arange(12).astype(kind)
    value = [array.reshape(3, 4), np.asfortranarray(array.reshape(3, 4)), array[3], array[:0]]
    found = read(written(tmp_path, pickle.dumps(value, protocol)))
    for before, after in zip(value, found, strict=True):
        np.testing.assert_array_equal(before, after)
        assert before.dtype == after.dtype


def tensors() -> dict:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    kinds = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
    return {
        "base": base,
        "view": base[1:, ::2],
        "transposed": base.T,
        "scalar": torch.tensor(3.0),
        "empty": torch.zeros(0, 5),
        "parameter": torch.nn.Parameter(base.clone()),
        "size": base.shape,
        "device": torch.device("cpu"),
        "dtype": torch.float32,
        **{str(kind): torch.tensor([0, 1, 1]).to(kind) for kind in kinds},
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("is_zip", [True, False])
def test_tensors_of_both_forms_of_checkpoints(tmp_path, protocol, is_zip):
    value, path = tensors(), tmp_path / "model.pth"
    torch.save(value, path, pickle_protocol=protocol, _use_new_zipfile_serialization=is_zip)
    same(value, read(path))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_tensors_in_a_plain_pickle(tmp_path, protocol):
    value = tensors()
    same(value, read(written(tmp_path, pickle.dumps(value, protocol))), shares=False)


def same(value: dict, found: dict, shares: bool = True) -> None:
    assert list(found) == list(value)
    for name, before in value.items():
        after = found[name]
        if isinstance(before, torch.Tensor):
            assert torch.equal(before.detach(), after)
            assert (before.dtype, before.shape) == (after.dtype, after.shape)
            assert not after.requires_grad
        else:
            assert before == after
    places = {found[name].untyped_storage().data_ptr() for name in ("base", "view", "transposed")}
    assert len(places) == (1 if shares else 3)


def test_a_state_dict_and_its_optimiser(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    value = {"state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(value, tmp_path / "a.pth")
    found = read(tmp_path / "a.pth")
    model.load_state_dict(found["state_dict"])
    optimizer.load_state_dict(found["optimizer"])


def recbole_like(tmp_path):
    """A pickle that names classes of RecBole, made without it."""
    config = stack_global("recbole.config.configurator", "Config")
    state = {
        "seed": b"K\x02",
        "kind": stack_global("recbole.utils.enum_type", "ModelType") + b"K\x03\x85R",
        "class": stack_global("recbole.model.general_recommender.bpr", "BPR"),
        "loader": stack_global("yaml.loader", "FullLoader"),
    }
    items = b"".join(text(name) + value for name, value in state.items())
    source = b"\x80\x04}(" + text("config") + config + b")\x81}(" + items + b"ub"
    return written(tmp_path, source + text("epoch") + b"K\x01u.")


def test_objects_of_recbole_become_records(tmp_path):
    found = read(recbole_like(tmp_path))
    config = found["config"]
    assert type(config) is Inert
    assert config.name == "recbole.config.configurator.Config"
    assert config.state["seed"] == 2
    kind = config.state["kind"]
    assert (kind.name, kind.arguments, kind.state) == (
        "recbole.utils.enum_type.ModelType",
        (3,),
        None,
    )
    assert config.state["class"] == InertClass("recbole.model.general_recommender.bpr.BPR")
    assert config.state["loader"] == InertClass("yaml.loader.FullLoader")


def test_a_record_can_run_nothing(tmp_path):
    """No import, no attribute, no call: a record has three fields and no behaviour of its own."""
    found = read(recbole_like(tmp_path))["config"]
    own = {name for name in vars(type(found)) if callable(getattr(type(found), name))}
    assert own <= {"__init__", "__repr__", "__class__", "__replace__"}
    assert not callable(found)
    assert not callable(found.state["class"])
    assert not hasattr(found, "__setstate__")


def test_nothing_is_imported_on_behalf_of_a_file(tmp_path, monkeypatch):
    package = tmp_path / "recbole"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    path, before = recbole_like(tmp_path), set(sys.modules)
    read(path)
    assert not {name for name in set(sys.modules) - before if name.startswith(("recbole", "yaml"))}
    with pytest.raises(SystemExit, match="imported"):
        pickle.loads(path.read_bytes())


def test_records_are_no_way_around_the_table(tmp_path):
    """What a record is called with has passed the same door."""
    data = b"\x80\x04\x8c\x07recbole\x8c\x01f\x93\x8c\x02os\x8c\x06system\x93\x85R."
    with pytest.raises(ForeignFileError, match=r"asks for 'os\.system'"):
        read(written(tmp_path, data))


@pytest.mark.parametrize("cut", [0, 1, 10, 100, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("is_zip", [True, False])
def test_files_that_are_cut_off(tmp_path, cut, is_zip):
    buffer = io.BytesIO()
    torch.save(tensors(), buffer, _use_new_zipfile_serialization=is_zip)
    data = buffer.getvalue()
    length = cut if isinstance(cut, int) else int(cut * len(data))
    with pytest.raises(ForeignFileError, match=r"file\.pth .*(damaged|cut off|bytes)"):
        read(written(tmp_path, data[:length], "file.pth"))


def test_files_that_are_none(tmp_path):
    with pytest.raises(ForeignFileError, match="there is no file"):
        read(tmp_path / "missing.pth")
    with pytest.raises(ForeignFileError, match="there is no file"):
        read(tmp_path)
    with pytest.raises(ForeignFileError, match="is damaged"):
        read(written(tmp_path, b"user_id:token\titem_id:token\n"))
    with pytest.raises(ForeignFileError, match="is compressed; unpack it first"):
        read(written(tmp_path, b"\x1f\x8b\x08\x00"))
    with pytest.raises(ForeignFileError, match="goes on behind its pickle"):
        read(written(tmp_path, pickle.dumps(1) + b"x"))

"""What the restricted reader refuses: files that would run code, or fill the memory."""

import io
import os
import pickle
import random
import struct
import zipfile

import pytest
import torch
from hostile_files import STOP, Touch, called, old_global, stack_global, text, whole

from erase_ray.imports._limits import Limits
from erase_ray.imports.errors import ForeignFileError
from erase_ray.imports.unpickle import read

NAMES = [
    ("os", "system"),
    ("posix", "system"),
    ("nt", "system"),
    ("subprocess", "Popen"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "getattr"),
    ("builtins", "__import__"),
    ("builtins", "open"),
    ("builtins", "type"),
    ("builtins", "object"),
    ("__builtin__", "eval"),
    ("functools", "partial"),
    ("operator", "attrgetter"),
    ("importlib", "import_module"),
    ("copyreg", "_reconstructor"),
    ("copy_reg", "_reconstructor"),
    ("copyreg", "__newobj__"),
    ("pickle", "loads"),
    ("_pickle", "loads"),
    ("torch", "load"),
    ("torch", "hub.load"),
    ("torch.serialization", "load"),
    ("torch._utils", "_rebuild_tensor_v2.__globals__"),
    ("torch.jit", "load"),
    ("numpy", "load"),
    ("numpy.f2py.crackfortran", "eval"),
    ("collections", "OrderedDict.fromkeys"),
    ("collections", "namedtuple"),
    ("recbole_evil", "run"),
    ("os.recbole", "system"),
    ("yaml", "load"),
    ("yaml.loader", "UnsafeLoader"),
    ("erase_ray.imports._values", "Call"),
    ("__main__", "recbole"),
]


def written(tmp_path, data: bytes, name: str = "file.pkl"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("module", "name"), NAMES)
@pytest.mark.parametrize("instruction", [stack_global, old_global])
def test_globals_are_refused_by_name(tmp_path, module, name, instruction):
    data = called(instruction(module, name), text("1"))
    with pytest.raises(ForeignFileError) as raised:
        read(written(tmp_path, data))
    assert str(raised.value) == (
        f"file.pkl asks for '{module}.{name}', which is not read: only tensors and plain "
        "containers are read. If you trust the file, save what you need of it as safetensors, "
        "JSON or Parquet in the environment that made it"
    )


@pytest.mark.parametrize("protocol", range(6))
def test_an_exploit_works_elsewhere_and_not_here(tmp_path, protocol):
    mark = tmp_path / "written"
    path = written(tmp_path, pickle.dumps({"weights": [Touch(mark)]}, protocol))
    with pytest.raises(ForeignFileError, match=r"asks for 'posix\.system'"):
        read(path)
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists()  # so the file was one


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("where", ["config", "state_dict", "optimizer"])
def test_an_exploit_in_a_checkpoint(tmp_path, is_zip, where):
    mark, path = tmp_path / "written", tmp_path / "model.pth"
    content = {"state_dict": {"a": torch.ones(3)}, where: Touch(mark)}
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(ForeignFileError, match=r"model\.pth asks for 'posix\.system'"):
        read(path)
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"(S'touch x'\nios\nsystem\n.", r"uses the instruction INST 'os\.system'"),
        (b"(" + stack_global("recbole", "A") + b"o.", "uses the instruction OBJ"),
        (b"\x82\x01.", "uses the instruction EXT1 1"),
        (b"\x83\x01\x01.", "uses the instruction EXT2 257"),
        (b"\x84\x01\x01\x01\x01.", "uses the instruction EXT4"),
        (b"\x97.", "uses the instruction NEXT_BUFFER"),
        (b"]\x98.", "uses the instruction READONLY_BUFFER"),
        (b"P12\n.", "has a persistent id where there can be none"),
        (b"K\x01Q.", "has a persistent id where there can be none"),
        (stack_global("collections", "OrderedDict") + b")\x81.", "makes an object of 'coll"),
        (
            stack_global("collections", "OrderedDict") + b"}b.",
            "gives a state to a collections.OrderedDict",
        ),
        (stack_global("collections", "OrderedDict") + b".", "holds 'collections.OrderedDict' as"),
        (stack_global("torch", "FloatStorage") + b")R.", "calls a StorageKind"),
        (text("a") + b")R.", "calls a str"),
        (b"]}b.", "gives a state to a list"),
        (b"K\x01K\x02a.", "puts items into a int"),
        (stack_global("recbole", "A") + b")\x81K\x01a.", "puts items into a recbole.A"),
        (b"}]K\x01s.", "has a list as a key"),
        (b"})\x85\x85K\x01s.", "has a tuple as a key"),
        (b"}\x8a\x0a" + b"\x01" * 10 + b"K\x01s.", "has an integer of 73 bits as a key"),
        (b"\x8a\xff" + b"\x7f" * 255 + b".", "holds an integer of 2039 bits"),
        (b"}(K\x01u.", "a key of a dictionary has no value"),
        (b"h\x07.", "is damaged or cut off"),
        (b"a.", "an instruction finds no value"),
        (b"u.", "a mark is missing"),
        (b"K\x01K\x02.", "does not end with one value"),
        (b"(.", "does not end with one value"),
        (b"]q\x00h\x00a.", "contains itself"),
        (b"\x8e" + struct.pack("<Q", 1 << 60) + b"abc.", "is damaged or cut off"),
        (b"B" + struct.pack("<I", 1 << 31) + b"abc.", "is damaged or cut off"),
        (b"\x80\x63K\x01.", "is a pickle of protocol 99; 0 to 5 are read"),
    ],
)
def test_other_instructions_are_refused(tmp_path, data, message):
    with pytest.raises(ForeignFileError, match=message):
        read(written(tmp_path, data))


@pytest.mark.parametrize(
    ("callee", "arguments"),
    [
        (("builtins", "bytearray"), whole(2**31 - 1)),
        (("builtins", "bytes"), whole(2**31 - 1)),
        (("builtins", "set"), text("a")),
        (("builtins", "set"), b"]" + b"]" + b"a"),
        (("collections", "OrderedDict"), text("ab")),
        (("collections", "OrderedDict"), b"}"),
        (("_codecs", "encode"), text("a") + text("rot13")),
        (("_codecs", "encode"), text("a")),
        (("torch", "device"), text("cpu" * 10)),
        (("torch", "Size"), b"](K\x01K\x02e"),
        (("numpy", "dtype"), text("O") + b"\x89\x88"),
        (("numpy", "dtype"), text("V8") + b"\x89\x88"),
        (("numpy", "dtype"), text("f4,f4") + b"\x89\x88"),
        (("numpy._core.multiarray", "_reconstruct"), text("A") + b")" + text("b")),
        (("numpy._core.multiarray", "scalar"), text("f4") + text("abcd")),
        (("torch._utils", "_rebuild_tensor_v2"), b"NNNN"),
        (("torch._utils", "_rebuild_parameter"), b"]\x88N"),
        (("torch.storage", "_load_from_bytes"), text("abc")),
    ],
)
def test_admitted_names_take_only_what_they_should(tmp_path, callee, arguments):
    with pytest.raises(ForeignFileError, match="does not fit its content"):
        read(written(tmp_path, called(stack_global(*callee), arguments)))


def test_a_small_file_that_would_be_a_maze(tmp_path):
    """A list of two equal lists of two equal lists ... : 60 levels are 2^60 values."""
    data = b"\x80\x04](K\x01K\x02e\x94"
    for place in range(60):
        data += b"0](h" + bytes([place]) + b"h" + bytes([place]) + b"e\x94"
    with pytest.raises(ForeignFileError, match="repeats its parts until they are"):
        read(written(tmp_path, data + STOP))


def test_long_lists_are_no_maze(tmp_path, monkeypatch):
    monkeypatch.setattr("erase_ray.imports._settled.LEAST_UNFOLDED", 10)
    value = {"a": [str(n) for n in range(1000)], "b": [[1, 2]] * 50}
    assert read(written(tmp_path, pickle.dumps(value))) == value


@pytest.mark.parametrize("levels", [70, 100_000])
def test_deep_values(tmp_path, levels):
    for data in (b")" + b"\x85" * levels, b"]" * levels + b"a" * (levels - 1)):
        with pytest.raises(ForeignFileError, match="more than 64 levels"):
            read(written(tmp_path, data + STOP))


def test_the_same_text_encoded_again_and_again(tmp_path):
    encode = stack_global("_codecs", "encode") + b"\x94" + text("a" * 100_000) + b"\x94"
    again = b"h\x00h\x01" + text("latin1") + b"\x86R"
    data = b"(" + encode + (again * 1000) + b"l."
    with pytest.raises(ForeignFileError, match="would grow to many times its size"):
        read(written(tmp_path, data))


def test_the_number_of_instructions_has_a_bound(tmp_path):
    path = written(tmp_path, pickle.dumps(list(range(1000))))
    assert read(path) == list(range(1000))
    with pytest.raises(ForeignFileError, match="more than 100 instructions"):
        read(path, Limits(operations=100))


def tensor_pickle(size: bytes, stride: bytes, offset: int = 0, number: int = 4) -> bytes:
    storage = (
        b"("
        + text("storage")
        + stack_global("torch", "FloatStorage")
        + text("0")
        + text("cpu")
        + whole(number)
        + b"tQ"
    )
    rest = whole(offset) + size + stride + b"\x89" + stack_global("collections", "OrderedDict")
    return called(stack_global("torch._utils", "_rebuild_tensor_v2"), storage, rest + b")R")


def archive(tmp_path, pickled: bytes, storage: bytes = b"\0" * 16, **extra: bytes):
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model/data.pkl", pickled)
        file.writestr("model/data/0", storage)
        for name, data in extra.items():
            file.writestr(name, data)
    return path


def pair(a: int, b: int) -> bytes:
    return whole(a) + whole(b) + b"\x86"


def test_a_tensor_made_by_hand(tmp_path):
    path = archive(tmp_path, tensor_pickle(pair(2, 2), pair(2, 1)), struct.pack("<4f", 1, 2, 3, 4))
    assert read(path).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        (pair(2, 3), pair(3, 1), 0),
        (pair(2, 2), pair(2, 1), 1),
        (pair(2, 2), pair(100, 1), 0),
        (pair(1000, 1000), pair(0, 0), 0),
        (pair(-2, -2), pair(2, 1), 0),
        (pair(2, 2), pair(-2, 1), 2),
        (pair(2, 2), pair(2, 1), -1),
        (pair(2, 2), whole(1) + b"\x85", 0),
        (text("22"), pair(2, 1), 0),
        (pair(0, 2), pair(2, 1), 100),
        (b"\x8a\x09" + b"\0" * 8 + b"\x01\x85", whole(0) + b"\x85", 0),
    ],
)
def test_tensors_that_reach_out_of_their_storage(tmp_path, size, stride, offset):
    with pytest.raises(ForeignFileError, match=r"_rebuild_tensor_v2 does not fit its content"):
        read(archive(tmp_path, tensor_pickle(size, stride, offset)))


def test_storages_of_another_size_than_they_say(tmp_path):
    path = archive(tmp_path, tensor_pickle(pair(2, 2), pair(2, 1), number=5))
    with pytest.raises(ForeignFileError, match="storage 0 has 16 bytes, its pickle says 20"):
        read(path)


@pytest.mark.parametrize(
    "parts",
    [
        b"K\x01",
        b"(" + text("module") + b"NNNNt",
        b"(" + text("storage") + text("FloatStorage") + text("0") + text("cpu") + b"K\x04t",
        b"("
        + text("storage")
        + stack_global("torch", "FloatStorage")
        + text("../../0")
        + text("cpu")
        + b"K\x04t",
        b"(" + text("storage") + stack_global("recbole", "A") + text("0") + text("c") + b"K\x04t",
    ],
)
def test_persistent_ids_of_other_kinds(tmp_path, parts):
    with pytest.raises(ForeignFileError, match="names no storage of torch"):
        read(archive(tmp_path, b"\x80\x04" + parts + b"Q."))


PLAIN = b"\x80\x04K\x01."


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model/../../evil", "a member outside its folder"),
        ("/etc/passwd", "a member of the name '/etc/passwd'"),
        ("other/data/0", "a member outside its folder"),
        ("model/code/a.py", "a program of TorchScript"),
        ("model/data.pkl", "no checkpoint of torch"),
        ("model/data/0", "two members of one name"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_in_archives(tmp_path, name, message):
    with pytest.raises(ForeignFileError, match=message):
        read(archive(tmp_path, PLAIN, **{name: b"x"}))
    assert not (tmp_path.parent / "evil").exists()


def test_compressed_archives_could_be_bombs(tmp_path):
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model/data.pkl", tensor_pickle(pair(2, 2), pair(2, 1), number=1 << 22))
        file.writestr("model/data/0", b"\0" * (1 << 24))
    assert path.stat().st_size < 1 << 16
    with pytest.raises(ForeignFileError, match="compressed or encrypted member"):
        read(path)


def test_archives_that_claim_more_than_they_have(tmp_path):
    path = archive(tmp_path, PLAIN, b"\0" * 64)
    data = path.read_bytes()
    for was in (64,):  # both sizes of the member, in both of its headers
        data = data.replace(struct.pack("<II", was, was), struct.pack("<II", 1 << 30, 1 << 30))
    path.write_bytes(data)
    with pytest.raises(ForeignFileError, match="claims to hold more bytes than it has"):
        read(path)


def test_a_wrong_checksum_is_damage(tmp_path):
    path = archive(tmp_path, tensor_pickle(pair(2, 2), pair(2, 1)), b"\x01" * 16)
    path.write_bytes(path.read_bytes().replace(b"\x01" * 16, b"\x02" * 16))
    with pytest.raises(ForeignFileError, match="is damaged: Bad CRC"):
        read(path)


def test_another_byte_order(tmp_path):
    path = archive(tmp_path, PLAIN, **{"model/byteorder": b"big"})
    with pytest.raises(ForeignFileError, match="another byte order"):
        read(path)


def old_checkpoint(**content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def test_old_checkpoints_with_other_storages(tmp_path):
    data = old_checkpoint(a=torch.ones(7))
    length = struct.pack("<q", 7) + struct.pack("<f", 1)
    assert length in data
    for wrong in (8, -1, 1 << 40):
        bad = data.replace(length, struct.pack("<q", wrong) + struct.pack("<f", 1))
        with pytest.raises(ForeignFileError, match=f"has {wrong} numbers, its pickle says 7"):
            read(written(tmp_path, bad))
    with pytest.raises(ForeignFileError, match="goes on behind its last storage"):
        read(written(tmp_path, data + b"x"))
    huge = data.replace(b"K\x07", b"J" + struct.pack("<i", 2**31 - 1))
    with pytest.raises(ForeignFileError, match="names more numbers than it has bytes"):
        read(written(tmp_path, huge))


@pytest.mark.parametrize("is_zip", [True, False])
def test_damage_anywhere_is_an_error_or_harmless(tmp_path, is_zip):
    """Bytes changed at random: no other error, no file, nothing imported."""
    buffer = io.BytesIO()
    content = {"state_dict": {"a": torch.arange(6.0).view(2, 3)}, "b": [1, "x", None, (2.5,)]}
    torch.save(content, buffer, _use_new_zipfile_serialization=is_zip)
    data, rng = bytearray(buffer.getvalue()), random.Random(1)
    before = set(os.listdir(tmp_path))
    outcomes = set()
    for _ in range(400):
        bad = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        path = written(tmp_path, bytes(bad))
        try:
            read(path)
            outcomes.add("read")
        except ForeignFileError:
            outcomes.add("refused")
        path.unlink()
    assert outcomes == {"read", "refused"}
    assert set(os.listdir(tmp_path)) == before

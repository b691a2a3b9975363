"""``erase-ray datasets prepare``."""

import pytest
from cli_toys import rows

from erase_ray.cli._options import memory_bytes
from erase_ray.errors import SettingsError
from erase_ray.experiment.cell import Part, data_key
from erase_ray.experiment.store import CellRecord, Store

PREPARE = ("datasets", "prepare", "toy", "--storage", "st")


def key(**settings) -> str:
    return data_key(Part(name="toy", settings={"skip_bad": False, "least": 0} | settings))


def test_it_says_what_it_does_and_what_there_is(run, raw, tmp_path):
    code, out, err = run(*PREPARE, "--raw", raw)
    assert (code, err) == (0, "")
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0] == f"toy {key()[:12]}"
    steps = [line.split("  ")[1] for line in lines[1:5]]
    assert steps == ["raw files", "read and clean", "number, sort and split", "store"]
    assert lines[1].endswith(" s  1 files, 1.26 kB")
    at = lines.index
    assert lines[at("rows after each step  rows  share") + 1].split() == ["read", "120", "100", "%"]
    assert "interactions  120" in lines
    assert lines[at("split  rows   share") + 1] == "train    96  80.0 %"
    assert any("peak memory" in line and line.endswith(("MB", "GB")) for line in lines)
    assert lines[-2:] == [f"key   {key()}", f"place {tmp_path}/st/data/toy/{key()}"]
    stored = Store("st", read_only=True).get_data("toy", key())
    assert stored.counts == {"read": 120, "all": 120}
    assert list(stored.raw) == ["rows/toy.csv"]


def test_the_steps_of_cleaning_keep_their_order(run, raw):
    (raw / "toy.csv").write_text(rows() + "bad\n")
    assert run(*PREPARE, "--raw", raw, "--skip-bad")[0] == 0
    counts = Store("st", read_only=True).get_data("toy", key(skip_bad=True)).counts
    assert list(counts.items()) == [("read", 121), ("bad", 1), ("all", 120)]


def test_a_second_time_does_nothing(run, raw, tmp_path):
    run(*PREPARE, "--raw", raw)
    manifest = tmp_path / f"st/data/toy/{key()}/manifest.json"
    before = manifest.read_bytes()
    code, out, _ = run(*PREPARE, "--raw", raw)
    assert code == 0
    assert out.splitlines()[-1] == f"was prepared before, at {tmp_path}/st/data/toy/{key()}"
    assert manifest.read_bytes() == before
    assert run(*PREPARE, "--raw", raw, "--force")[0] == 0
    assert manifest.read_bytes() != before


def test_other_raw_files_under_the_same_key_are_an_error(run, raw):
    run(*PREPARE, "--raw", raw)
    (raw / "toy.csv").write_text(rows(num_users=13))
    code, _, err = run(*PREPARE, "--raw", raw)
    assert code == 2
    assert err.startswith(f"error: the store holds toy {key()[:12]} made from other raw files: ")
    assert "rows/toy.csv (there " in err
    assert "use another --storage, or the same raw files" in err
    assert Store("st").get_data("toy", key()).interactions.num_users == 12


def test_another_set_of_raw_files_is_an_error_too(run, raw):
    run(*PREPARE, "--raw", raw)
    (raw / "names.csv").write_text("")
    _, _, err = run(*PREPARE, "--raw", raw)
    assert "raw files: rows/toy.csv there, names.csv, rows/toy.csv here" in err


def test_force_replaces_data_of_other_raw_files_only_without_results(run, raw):
    run(*PREPARE, "--raw", raw)
    (raw / "toy.csv").write_text(rows(num_users=13))
    assert run(*PREPARE, "--raw", raw, "--force")[0] == 0
    store = Store("st")
    assert store.get_data("toy", key()).interactions.num_users == 13
    store.put_cell("ab12", CellRecord({}, facts={"data_key": key()}))
    (raw / "toy.csv").write_text(rows())
    code, _, err = run(*PREPARE, "--raw", raw, "--force")
    assert code == 2
    assert "made from other raw files" in err
    assert store.get_data("toy", key()).interactions.num_users == 13


def test_missing_files_are_named_with_their_page(run, tmp_path):
    code, out, err = run(*PREPARE, "--raw", tmp_path)
    assert code == 2
    assert out.endswith("raw files               \n")
    assert err == (
        f"error: toy lacks 1 of its raw files in {tmp_path}: rows/toy.csv (about 1 kB). Download "
        "page: https://example.org/toy; 'erase-ray datasets fetch toy' says more\n"
    )


def test_a_malformed_line_is_one_line_and_nothing_is_stored(run, raw):
    (raw / "toy.csv").write_text(rows() + "bad\n")
    code, _, err = run(*PREPARE, "--raw", raw)
    assert (code, err) == (2, "error: toy.csv, line 121: expected 3 fields\n")
    assert Store("st").data_keys("toy") == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--set", "leest=1"), "settings of dataset 'toy': leest: Extra inputs are not permitted"),
        (("--set", "least"), "expected key=value, got 'least'"),
        (("--memory", "much"), "--memory takes a size such as 4GB or 512MiB, got 'much'"),
        (("--memory", "1MB"), "--memory 1MB is too little; 256MiB is the least"),
    ],
)
def test_wrong_options(run, raw, options, text):
    code, _, err = run(*PREPARE, "--raw", raw, *options)
    assert code == 2
    assert text in err


def test_a_setting_gives_another_key(run, raw):
    _, out, _ = run(*PREPARE, "--raw", raw, "--set", "least=3")
    assert f"key   {key(least=3)}" in out


def test_raw_files_come_from_the_cache_and_from_the_environment(run, raw, tmp_path, monkeypatch):
    folder = tmp_path / "cache/raw/toy/rows"
    folder.mkdir(parents=True)
    (folder / "toy.csv").write_text(rows())
    assert run(*PREPARE, "--cache", tmp_path / "cache")[0] == 0
    monkeypatch.setenv("ERASE_RAY_RAW", str(raw))
    assert "was prepared before" in run(*PREPARE)[1]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4_000_000_000),
        ("4GiB", 4 * 2**30),
        ("0.5 gb", 500_000_000),
        ("512MiB", 2**29),
        ("268435456", 2**28),
        ("1T", 10**12),
    ],
)
def test_sizes(text, size):
    assert memory_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "4XB", "1e9"])
def test_no_sizes(text):
    with pytest.raises(SettingsError, match="takes a size"):
        memory_bytes(text)


def test_more_memory_than_the_budget_is_said(run, raw, monkeypatch):
    monkeypatch.setattr("erase_ray.cli._prepare.peak_memory_bytes", lambda: 5 * 10**9)
    _, out, _ = run(*PREPARE, "--raw", raw, "--memory", "4GB")
    assert "peak memory 5.00 GB, more than --memory 4.00 GB: the finished table is in" in out

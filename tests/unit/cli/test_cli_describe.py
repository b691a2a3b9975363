"""``erase-ray datasets describe`` and ``check``."""

import pytest
from cli_toys import rows

PREPARE = ("datasets", "prepare", "toy", "--storage", "st")
DESCRIBE = ("datasets", "describe", "toy")
CHECK = ("datasets", "check", "toy")


def test_from_the_store_alone(run, raw):
    run(*PREPARE, "--raw", raw)
    (raw / "toy.csv").unlink()
    code, out, err = run(*DESCRIBE, "--storage", "st", "--sample", 2)
    assert (code, err) == (0, "")
    assert out.startswith("from ")
    assert "interactions  120" in out
    assert "secret        3  15.0 %    16  13.3 %      6  50.0 %" in out
    sample = out.rpartition("2 of the 3 items of 'secret'\n")[2].splitlines()
    assert [line.split()[1:] for line in sample] == [
        ["label", "of", line.split()[0]] for line in sample
    ]
    assert len(sample) == 2
    assert run(*DESCRIBE, "--storage", "st", "--sample", 2)[1] == out


def test_from_raw_files_nothing_is_stored(run, raw, tmp_path):
    code, out, _ = run(*DESCRIBE, "--raw", raw)
    assert code == 0
    assert out.startswith("not prepared in ./runs; made from raw files now, not stored\n")
    assert not (tmp_path / "runs").exists()


def test_neither_store_nor_raw_files(run, raw, tmp_path):
    run(*PREPARE, "--raw", raw)
    code, _, err = run(*DESCRIBE, "--storage", "st", "--set", "least=1")
    assert code == 2
    assert f" is not prepared in {tmp_path}/st (which has it with other settings: " in err
    assert "), and toy lacks 1 of its raw files in " in err
    code, _, err = run("datasets", "describe", "toy", "--storage", "nowhere")
    assert code == 2
    assert "cannot read the storage" in err


@pytest.mark.parametrize("ending", ["png", "html"])
def test_the_plot(run, raw, tmp_path, ending):
    path = tmp_path / f"out/toy.{ending}"
    code, out, _ = run(*DESCRIBE, "--raw", raw, "--plot", path)
    assert (code, out.splitlines()[-1]) == (0, f"plot: {path}")
    assert path.read_bytes().startswith(b"\x89PNG" if ending == "png" else b"<!doctype html>")


def test_a_plot_of_another_kind_fails_before_any_work(run, tmp_path):
    code, out, err = run(*DESCRIBE, "--plot", "toy.gif")
    assert (code, out) == (2, "")
    assert err == "error: a plot is a .png or a .html file, got 'toy.gif'\n"


def test_a_sound_dataset_passes(run, raw):
    code, out, _ = run(*CHECK, "--raw", raw)
    assert code == 0
    lines = out.splitlines()[2:]
    assert lines[-1] == "no check failed"
    assert {line[:4] for line in lines[:-1]} <= {"ok  ", "skip"}
    assert "ok    no duplicates: 0 twice in one step, 0 repeats later" in lines
    assert any(line.startswith("ok    sensitive:secret: no probe shows") for line in lines)


def test_an_empty_category_fails(run, raw):
    (raw / "toy.csv").write_text(rows(sensitive=0))
    code, out, _ = run(*CHECK, "--raw", raw)
    assert code == 1
    assert "FAIL  category 'secret' is not empty: 0 items, 0 rows, 0 users" in out
    assert out.endswith("checks that failed: 1\n")


def test_a_scenario_of_ones_own(run, raw):
    code, out, _ = run(*CHECK, "--raw", raw, "--scenario", "sensitive category=secret fraction=0.1")
    names = {line.split(": ")[0][6:] for line in out.splitlines() if line.count(": ") == 2}
    assert (code, names) == (0, {"sensitive:secret"})


def test_an_impossible_scenario_is_skipped_with_its_reason(run, raw):
    asked = "sensitive category=secret fraction=0.001"
    code, out, _ = run(*CHECK, "--raw", raw, "--scenario", asked)
    assert code == 0
    assert (
        "skip  sensitive:secret: requests: fraction 0.001 of 120 rows is less than one row" in out
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sensitve", "no scenario is called 'sensitve'. Did you mean 'sensitive'?"),
        ("", "no scenario is called ''"),
        ("sensitive category=a", "settings of scenario 'sensitive': fraction: Field required"),
        ("account much", "expected key=value, got 'much'"),
    ],
)
def test_wrong_scenarios(run, text, error):
    code, out, err = run(*CHECK, "--scenario", text)
    assert (code, out) == (2, "")
    assert error in err

"""``erase-ray datasets synthesize``."""

import json

import pytest

from erase_ray.datasets import _synthetic

MAKE = ("datasets", "synthesize", "tafeng", "--out")


def test_files_and_truth(run, tmp_path):
    code, out, _ = run(*MAKE, tmp_path / "made", "--seed", 3)
    assert code == 0
    assert out.startswith("tafeng, scale 1, seed 3\n")
    names = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert names == ["ta_feng_all_months_merged.csv", "truth.json"]
    truth = json.loads((tmp_path / "made/truth.json").read_text())
    code, out, _ = run("datasets", "prepare", "tafeng", "--raw", tmp_path / "made")
    assert code == 0
    assert f"interactions  {list(truth['counts'].values())[-1]:,}" in out
    assert f"users         {truth['num_users']:>{len('7,393')}}" in out


def test_without_truth(run, tmp_path):
    run(*MAKE, tmp_path / "made", "--no-truth")
    assert not (tmp_path / "made/truth.json").exists()


def test_the_same_seed_gives_the_same_bytes(run, tmp_path):
    def made(name: str, seed: int) -> bytes:
        run(*MAKE, tmp_path / name, "--seed", seed, "--no-truth")
        return (tmp_path / name / "ta_feng_all_months_merged.csv").read_bytes()

    assert made("a", 1) == made("b", 1) != made("c", 2)


def test_a_folder_in_use_is_left_alone(run, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    code, _, err = run(*MAKE, tmp_path)
    assert code == 2
    text = f"--out {tmp_path} has files in it; take another folder, or --force"
    assert err == f"error: {text}\n"
    assert run(*MAKE, tmp_path, "--force", "--no-truth")[0] == 0
    assert (tmp_path / "mine.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("tafang", "--out", "x"),
            "no raw files can be made up for 'tafang'. Did you mean 'tafeng'",
        ),
        (("tafeng", "--out", "x", "--scale", "0"), "--scale must be above 0, got 0"),
        (("tafeng", "--out", "x", "--scale", "nan"), "--scale must be above 0, got nan"),
        (("tafeng", "--out", "mine"), "--out mine is a file, expected a folder"),
    ],
)
def test_wrong_arguments(run, tmp_path, arguments, text):
    (tmp_path / "mine").write_text("")
    code, _, err = run("datasets", "synthesize", *arguments)
    assert code == 2
    assert text in err


def test_all_nine_formats():
    assert set(_synthetic.names()) >= {
        "movielens", "goodreads", "amazon_grocery", "amazon_books", "thirty_music", "nowplaying",
        "instacart", "tafeng", "dunnhumby",
    }  # fmt: skip

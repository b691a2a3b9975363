"""The documentation page says what the datasets say."""

from pathlib import Path

from erase_ray.datasets import DATASETS
from erase_ray.datasets._page import page

DOCS = Path(__file__).parents[3] / "docs/datasets.md"


def test_the_page_is_up_to_date():
    text = "run: erase-ray datasets list --markdown > docs/datasets.md"
    assert DOCS.read_text(encoding="utf-8") == page(), text


def test_it_names_every_dataset_and_every_file():
    lines = page().splitlines()
    for name in DATASETS.names():
        about = DATASETS.get(name).about
        assert f"## {name}" in lines
        for file in about.files if about else ():
            assert any(line.startswith(f"| `{file.name}`") for line in lines)

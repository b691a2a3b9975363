"""The site builds without a warning, says what the code says, and needs no network."""

import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser

import chromium
import command_line
import pytest
import settings_tables
import site_pages
from markdown_pages import ROOT
from pydantic import BaseModel, Field

LOADING = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}
SEARCH_S = 20.0


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


class Loaded(HTMLParser):
    """Addresses that a page loads by itself."""

    def __init__(self, text):
        super().__init__()
        self.addresses = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in LOADING and given.get("rel") != "canonical" and given.get(LOADING[tag]):
            self.addresses.append(given[LOADING[tag]])


def from_outside(text):
    return [each for each in Loaded(text).addresses if re.match(r"(https?:)?//", each)]


def test_no_page_loads_anything_from_outside(site):
    found = [site / name for name in ("index.html", "reference/api.html", "cluster/index.html")]
    assert all(path.exists() for path in found)
    pages = [path for path in site.rglob("*.html") if "examples" not in path.parts]
    assert {path.name: from_outside(path.read_text()) for path in pages} == {
        path.name: [] for path in pages
    }
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", sheet.read_text())


def test_what_a_page_loads_is_seen():
    text = '<a href="https://a"></a><script src="//b/x.js"></script><img src="c.png">'
    assert from_outside(text) == ["//b/x.js"]


def test_what_pages_load_and_link_to_is_there(site):
    for path in site.rglob("*.html"):
        if path.name == "404.html" or "results" in path.parts:
            continue
        for address in Loaded(path.read_text()).addresses:
            target = path.parent / address.partition("?")[0].partition("#")[0]
            assert address.startswith("data:") or target.exists(), (path.name, address)


def test_search_works_in_pages_that_are_opened_from_a_folder(site, tmp_path):
    chromium.need(os.environ)
    with chromium.started(tmp_path) as browser:
        browser.open(site / "index.html")
        browser.run(
            """
            const box = document.querySelector('input[name=query]');
            box.focus();
            box.value = 'exceptions of a conditional put';
            box.dispatchEvent(new Event('input', {bubbles: true}));
            box.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true}));
            """
        )
        results = (
            "return [...document.querySelectorAll('.md-search-result__link')].map(a => a.href)"
        )
        deadline = time.monotonic() + SEARCH_S
        while not (found := browser.run(results)) and time.monotonic() < deadline:
            time.sleep(0.2)
        asked = browser.requests()
    assert any("howto/s3.html" in address for address in found)
    assert asked
    assert [address for address in asked if not address.startswith(("file:", "blob:"))] == []


def test_marks_of_docstrings_are_not_shown(site):
    text = (site / "reference/api.html").read_text()
    assert "erase_ray.unlearn" in text
    assert not re.search(r":(func|class|meth):|Example::", text)


def test_every_command_has_a_section(site):
    text = (site / "reference/command-line.html").read_text()
    for name in ("erase-ray store gc", "erase-ray datasets prepare", "python jobs/full_grid.py"):
        assert f">{name}<" in text
    assert "--forgetting-margin" in text


def test_the_command_line_is_that_of_the_parsers():
    page = command_line.page()
    for script in command_line.SCRIPTS:
        assert f"## python {script}" in page
    for parser in command_line.leaves(command_line.script_parser("jobs/one_cell.py")):
        for action in parser._actions[1:]:
            assert action.option_strings[0] in page


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("methods", "| `damping` | `float, > 0` |"),
        ("scenarios", "| `fraction` | `float, > 0, < 1` | needed |"),
        ("scenarios", "Share of all rows (rounded down to whole rows) that the requests name"),
        ("scenarios", "| `batch` |"),
        ("datasets", "### `ItemColumns`"),
        ("grid", "Seconds that a request of a chain may take"),
        ("models", "## `gru4rec`"),
    ],
)
def test_settings_are_those_of_the_classes(page, told):
    assert told in settings_tables.pages()[page]


class Example(BaseModel):
    first: int = Field(default=1, ge=0)
    """How many | at first."""
    second: str


def test_texts_below_fields_are_found():
    assert settings_tables.attribute_docstrings(Example) == {"first": "How many | at first."}
    rows = settings_tables._table(Example)[2:4]
    assert rows == [
        "| `first` | `int, ≥ 0` | `1` | How many \\| at first. |",
        "| `second` | `str` | needed |  |",
    ]


@pytest.mark.parametrize(
    ("page", "link", "led"),
    [
        ("running.md", "../cluster/README.md", "cluster/README.md"),
        ("howto/cluster.md", "../../cluster/laptop.md", "../cluster/laptop.md"),
        ("cluster/README.md", "laptop.md", "laptop.md"),
        ("howto/s3.md", "../running.md", "../running.md"),
        ("howto/s3.md", "../../README.md", "../index.md"),
        ("models.md", "../jobs/grids/smoke.yaml", "source/jobs/grids/smoke.yaml"),
        ("models.md", "https://example.com/a.md", "https://example.com/a.md"),
        ("models.md", "no-such-page.md", "no-such-page.md"),
    ],
)
def test_links_lead_to_the_same_page_on_the_site(page, link, led):
    assert site_pages.on_site(page, f"[text]({link})") == f"[text]({led})"


def test_made_pages_are_those_that_links_may_lead_to():
    assert {f"docs/{name}" for name in site_pages.generated()} == site_pages.generated_paths()

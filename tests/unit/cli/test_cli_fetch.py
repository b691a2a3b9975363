"""``erase-ray datasets fetch`` and ``list``."""

import gzip
import hashlib
import http.server
import json
import threading
from dataclasses import replace

import pytest
from cli_toys import PAGE, Toy, rows

from erase_ray.datasets import DATASETS, About, RawFile, Source

FETCH = ("datasets", "fetch", "toy")


@pytest.fixture
def site():
    """A web server that delivers packed rows, and counts."""
    body, asked = gzip.compress(rows().encode(), mtime=0), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if self.path == "/toy.csv.gz" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", body, asked
    server.shutdown()
    server.server_close()


def with_files(monkeypatch, *files: RawFile) -> None:
    about = replace(Toy.about, files=files)
    kind = type("Toy", (Toy,), {"about": about, "__doc__": Toy.__doc__})
    monkeypatch.setitem(DATASETS._classes, "toy", kind)


def test_by_hand_says_what_from_where_to_where(run, tmp_path):
    code, out, err = run(*FETCH)
    folder = tmp_path / "home/erase_ray/raw/toy"
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "optional, not there:",
        "  names.csv: labels",
        "1 files of toy have to be downloaded by hand:",
        f"  1. Open {PAGE} (licence: free for all)",
        f"  2. Put these files, packed with gzip or not, into {folder}",
        "       rows/toy.csv (about 1 kB): who took what | when",
        "     or into a folder of yours, to be given with --raw",
        "  3. erase-ray datasets prepare toy [--raw FOLDER] --storage URI",
    ]
    folder.mkdir(parents=True)
    (folder / "toy.csv.gz").write_bytes(gzip.compress(rows().encode()))
    code, out, _ = run(*FETCH)
    assert (code, out.splitlines()[-1]) == (0, f"all raw files of toy are in {folder}")


def test_editions_of_which_one_is_enough(run, monkeypatch):
    with_files(monkeypatch, RawFile("a", "A", optional=True), RawFile("b", "B", optional=True))
    code, out, _ = run(*FETCH)
    assert code == 1
    first = "2 files of toy have to be downloaded by hand (of several editions, one is enough):"
    assert out.splitlines()[0] == first


def test_an_unverified_download_is_recorded_and_said(run, site, tmp_path, monkeypatch):
    address, body, asked = site
    with_files(monkeypatch, RawFile("toy.csv", "rows", address=f"{address}/toy.csv.gz"))
    cache = tmp_path / "cache"
    code, out, _ = run(*FETCH, "--cache", cache)
    path, sha = cache / "raw/toy/toy.csv.gz", hashlib.sha256(body).hexdigest()
    assert code == 0
    assert path.read_bytes() == body
    assert f"sha256 {sha}\n    {path}\n    warning: could not be verified" in out
    record = json.loads((cache / "raw/toy/downloads.json").read_text())
    assert record["toy.csv.gz"]["sha256"] == sha
    assert record["toy.csv.gz"]["address"] == f"{address}/toy.csv.gz"
    code, out, _ = run(*FETCH, "--cache", cache)
    assert (code, "warning" in out, len(asked)) == (0, False, 1)
    assert run(*FETCH, "--cache", cache, "--force")[0] == 0
    assert len(asked) == 2


def test_a_download_that_fails(run, site, monkeypatch):
    address, _, _ = site
    with_files(monkeypatch, RawFile("toy.csv", "rows", address=f"{address}/other"))
    code, _, err = run(*FETCH)
    assert code == 2
    assert err == f"error: cannot download toy.csv from {address}/other: HTTP status 404\n"


def test_made_data(run):
    assert run("datasets", "fetch", "planted") == (
        0,
        "planted is made, there is nothing to fetch\n",
        "",
    )


def test_verified_sources(run, monkeypatch, tmp_path):
    digest = hashlib.sha256(b"x").hexdigest()
    source = Source("https://example.org/toy.zip", "0" * 64, {"toy/one.txt": digest})
    kind = type("Toy", (Toy,), {"sources": (source,), "about": None})
    monkeypatch.setitem(DATASETS._classes, "toy", kind)
    folder = tmp_path / "cache/raw" / source.sha256
    folder.mkdir(parents=True)
    (folder / "one.txt").write_bytes(b"x")
    code, out, _ = run(*FETCH, "--cache", tmp_path / "cache")
    assert code == 0
    assert (
        out == f"toy: verified files\n  one.txt  1 bytes  sha256 {digest}\n    {folder}/one.txt\n"
    )


def test_the_list(run):
    code, out, _ = run("datasets", "list")
    lines = {line.split()[0]: " ".join(line.split()) for line in out.splitlines()}
    assert code == 0
    assert lines["name"] == "name task rows users items raw files licence"
    assert lines["toy"] == "toy cf 1.50k 20 1.23M by hand free for all"
    assert lines["planted"] == "planted cf 9.00k 300 120 made -"
    assert lines["movielens_100k"].startswith("movielens_100k cf 100k 943 1.68k automatic ")
    assert set(DATASETS.names()) <= lines.keys()


def test_how_raw_files_come(run, monkeypatch):
    def way(*files: RawFile) -> str:
        with_files(monkeypatch, *files)
        line = next(line for line in run("datasets", "list")[1].splitlines() if "1.23M" in line)
        return line.partition("1.23M")[2].partition("free")[0].strip()

    here, there = RawFile("a", "A", address="https://example.org/a"), RawFile("b", "B")
    assert way(here) == "automatic, unverified"
    assert way(here, there) == "some by hand"
    assert way(here, replace(there, optional=True)) == "automatic, unverified"
    assert way(replace(there, optional=True)) == "by hand"


def test_a_task_that_settings_decide(run, monkeypatch):
    class Settings(Toy.Settings):
        path: str

    kind = type("Toy", (Toy,), {"Settings": Settings, "about": About("", "", "", "")})
    monkeypatch.setitem(DATASETS._classes, "toy", kind)
    line = next(line for line in run("datasets", "list")[1].splitlines() if "1.23M" in line)
    assert line.startswith("toy ")
    assert " by settings " in line


def test_files_of_ones_own(run, monkeypatch):
    kind = type("Toy", (Toy,), {"own_files": property(lambda self: ()), "about": None})
    monkeypatch.setitem(DATASETS._classes, "toy", kind)
    code, out, _ = run(*FETCH)
    assert (code, out) == (0, "the raw files of toy are your own: name them in its settings\n")
    line = next(line for line in run("datasets", "list")[1].splitlines() if "1.23M" in line)
    assert line.split()[-3:] == ["your", "own", "-"]

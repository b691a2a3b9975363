"""Storage that fails: an S3 server that refuses, is slow or drops answers, and full disks."""

import pytest
import s3fs
from chaos_arena import Arena
from chaos_reference import planned, reference
from chaos_s3 import UPLOAD, Chance, Fault, FaultyProxy, is_installed, server, uploader
from chaos_verdict import judge

from erase_ray.experiment.store import Store

pytestmark = pytest.mark.ray
ONLY = "model=bpr,method=original|scif|fanchuan"
with_server = pytest.mark.skipif(not is_installed(), reason="the S3 server 'weed' is missing")


@pytest.fixture(scope="module")
def s3():
    with server() as environment:
        yield environment


@pytest.fixture
def broken(s3, monkeypatch, request):
    """An arena whose jobs keep their store behind a proxy, the proxy, and that store as it is."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    address = f"s3://erase-ray/{request.node.name}/runs"
    with (
        FaultyProxy(s3["AWS_ENDPOINT_URL"]) as proxy,
        Arena(address, ["--only", ONLY], AWS_ENDPOINT_URL=proxy.url) as arena,
    ):
        yield arena, proxy, lambda: Store(address)


@with_server
def test_a_server_that_refuses_is_slow_and_drops_answers(broken):
    arena, proxy, store = broken
    proxy.faults += [
        Fault("status", times=4, method="PUT"),
        Fault("forbid", method="PUT", path=r"results\.parquet"),
        Fault("drop_reply", times=2, method="PUT", path=r"cells/.*manifest\.json"),
        Fault("drop_request", method="PUT", path="journal/"),
        Fault("cut_reply", method="GET", path=r"rows\.parquet|interactions|weights/"),
        Fault("slow", times=3, method="GET", seconds=1.0),
        Chance("status", probability=0.02, seed=7),
    ]
    assert arena.finish() == 0, arena.said()
    assert {seen.fault for seen in proxy.struck()} >= {
        *("status", "forbid", "drop_reply", "drop_request", "slow"),
    }
    verdict = judge(arena, reference(ONLY), planned(ONLY), store())
    assert verdict.is_clean, verdict
    assert verdict.executed == verdict.cells
    assert all(event["won"] for event in arena.diary("committed"))


@with_server
def test_a_worker_killed_in_an_upload_to_s3(broken):
    arena, proxy, store = broken
    proxy.faults.append(Fault("slow", method="PUT", path=UPLOAD, seconds=30))
    job = arena.start()
    arena.wait_for(lambda: proxy.struck("slow"))
    assert arena.kill(uploader(arena, proxy))
    assert arena.finish(job) == 0, arena.said()
    verdict = judge(arena, reference(ONLY), planned(ONLY), store())
    assert verdict.is_clean, verdict
    assert verdict.executed == verdict.cells + 1


def test_a_full_disk_ends_the_job_and_the_same_command_goes_on():
    with Arena(arguments=["--only", ONLY]) as arena:
        name = arena.ask("open", "full", 100_000, path=r"store/cells/")
        assert arena.finish() == 2
        assert "Free some space and run the same command again" in arena.said()
        (arena.hooks / "points" / f"{name}.json").unlink()
        assert arena.finish() == 0, arena.said()
        verdict = judge(arena, reference(ONLY), planned(ONLY))
        assert verdict.is_clean, verdict


@with_server
def test_a_spool_without_space(broken):
    arena, _, store = broken
    arena.more["ERASE_RAY_SPOOL"] = str(arena.folder / "spool")
    arena.ask("os.rename", "full", 3, path=f"{arena.folder}/spool/")
    assert arena.finish() == 0, arena.said()
    assert len(arena.diary("reached")) == 3
    verdict = judge(arena, reference(ONLY), planned(ONLY), store())
    assert verdict.is_clean, verdict

"""Workers that are killed, stopped or hang in the middle of their work; the job goes on."""

import signal

import pytest
from chaos_arena import Arena
from chaos_reference import planned, reference
from chaos_verdict import judge

pytestmark = pytest.mark.ray
ONLY = "model=bpr,method=original|scif|fanchuan"


def finished(arena, only=ONLY, job=None):
    """The verdict on a job that must come to its end by itself, and leave nothing behind."""
    assert arena.finish(job) == 0, arena.said()
    arena.wait_for(lambda: not arena.processes())
    verdict = judge(arena, reference(ONLY), planned(only))
    assert verdict.is_clean, verdict
    return verdict


def test_killed_in_training_in_a_request_and_in_an_upload():
    with Arena(arguments=["--only", ONLY]) as arena:
        arena.ask("step", "kill", label="bpr/base/s2", step=3)
        arena.ask("request", "kill", label="scif/s2", position=13)
        arena.ask("os.rename", "kill", path=r"cells/.*/requests\.parquet")
        verdict = finished(arena)
        reached = arena.diary("reached")
        assert len(reached) == 3
        assert len({event["pid"] for event in reached}) == 3
        assert verdict.executed == verdict.cells + 3
        # the request after the last snapshot of the cell that was killed in its upload
        assert verdict.served_twice <= 1
        assert len(verdict.halves) <= 1


def test_stopped_and_hung():
    limits = {"ERASE_RAY_FROZEN_S": "8", "ERASE_RAY_HUNG_S": "8"}
    with Arena(arguments=["--only", ONLY], **limits) as arena:
        stopped = arena.ask("request", "stop", label="scif/s2", position=7)
        hung = arena.ask("request", "hold", label="scif/s3", position=11)
        verdict = finished(arena)
        assert {e["name"] for e in arena.diary("reached")} == {stopped, hung}
        assert verdict.served_twice == 0


def test_stopped_for_a_while_only():
    with Arena(arguments=["--only", "model=bpr,method=scif,seed=2"]) as arena:
        job = arena.start()
        pid = arena.reached(arena.ask("request", "stop", label="scif/s2", position=7))["pid"]
        arena.kill(pid, signal.SIGCONT)
        verdict = finished(arena, "model=bpr,method=scif,seed=2", job)
        assert verdict.executed == verdict.cells
        assert verdict.served_twice == 0

"""Drivers that are killed, whose clocks are wrong, or that are two."""

import pytest
from chaos_arena import Arena
from chaos_reference import planned, reference
from chaos_verdict import judge

pytestmark = pytest.mark.ray
ONLY = "model=bpr,method=original|scif|fanchuan"


def test_killed_with_a_clock_that_is_fast_and_resumed_with_one_that_is_slow():
    with Arena(arguments=["--only", ONLY]) as arena:
        first = arena.start(CHAOS_SKEW="driver=3600")
        name = arena.ask("request", "hold", label="scif/s3", position=9)
        arena.reached(name)
        arena.kill(first.pid)
        first.wait()
        arena.let_go(name)
        # the orphans of the first job may still be at work
        assert arena.finish(CHAOS_SKEW="worker=-3600") == 0, arena.said()
        arena.wait_for(lambda: not arena.processes())
        verdict = judge(arena, reference(ONLY), planned(ONLY))
        assert verdict.is_clean, verdict
        assert verdict.served_twice <= 2
        assert arena.finish() == 0
        assert arena.said().startswith("0 cells to run")


def test_two_at_once_do_no_cell_twice():
    with Arena(arguments=["--only", ONLY]) as arena:
        jobs = [arena.start(), arena.start()]
        assert [arena.finish(job) for job in jobs] == [0, 0], arena.said(0) + arena.said(1)
        arena.wait_for(lambda: not arena.processes())
        verdict = judge(arena, reference(ONLY), planned(ONLY))
        assert verdict.is_clean, verdict
        assert verdict.executed == verdict.cells
        assert all(event["won"] for event in arena.diary("committed"))

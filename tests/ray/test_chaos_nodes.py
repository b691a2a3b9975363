"""Nodes that die: a worker's, then the head's."""

import pytest
from chaos_arena import Arena
from chaos_reference import planned, reference
from chaos_verdict import judge

pytestmark = pytest.mark.ray
ONLY = "model=bpr,method=original|scif|fanchuan"


def test_a_node_dies_then_the_head_and_a_new_cluster_ends_the_job():
    with Arena(arguments=["--only", ONLY]) as arena:
        arena.start_cluster(1, 1)
        job = arena.start()
        pid = arena.reached(arena.ask("request", "hold", label="scif/s3", position=9))["pid"]
        arena.kill(arena.raylet_of(pid))
        name = arena.ask("request", "hold", label="scif/s3", position=12)
        assert arena.reached(name)["pid"] != pid
        (head,) = arena.find("gcs_server")
        arena.kill(head)
        assert arena.finish(job) != 0
        arena.kill_cluster()
        arena.start_cluster(1, 1)
        assert arena.finish() == 0, arena.said()
        verdict = judge(arena, reference(ONLY), planned(ONLY))
        assert verdict.is_clean, verdict
        assert verdict.served_twice <= 2

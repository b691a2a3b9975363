"""Blocks that shrink after running out of memory, and signs of life."""

import pytest

from erase_ray import pulse, tiles
from erase_ray.evaluation import default_block
from erase_ray.experiment.walk import ERROR, MEMORY, attempt


def test_blocks_are_halved_inside_and_whole_again_after():
    usual = default_block(20_000)
    with tiles.scale(0.5):
        assert default_block(20_000) == usual // 2
        with tiles.scale(0.5):
            assert tiles.scaled(8.0) == 2.0
    assert default_block(20_000) == usual


def test_silence_ends_with_a_beat(monkeypatch):
    now = [10.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pulse.beat()
    now[0] = 17.0
    assert pulse.silence() == 7.0
    pulse.beat()
    assert pulse.silence() == 0.0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), MEMORY),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), MEMORY),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), MEMORY),
        (RuntimeError("size mismatch"), ERROR),
    ],
)
def test_running_out_of_memory_is_told_from_other_errors(error, kind):
    def execute(payload, storage):
        raise error

    assert attempt(execute, {}, "")["kind"] == kind

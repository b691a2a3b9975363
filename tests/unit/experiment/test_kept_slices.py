"""Cells of sisa that are killed while shards are trained go on after the last slice."""

from contextlib import contextmanager

import pytest
from chain_toys import ALWAYS, NEVER, Killed, assert_same, chain_cell, prepared

from erase_ray.experiment.kept_slices import KeepingPool, _Shelf
from erase_ray.experiment.pace import Pace
from erase_ray.experiment.run import run_cell
from erase_ray.methods._shard_pool import SerialPool, ShardJob
from tests.conftest import CPU

SETTINGS = {"shards": 3, "slices": 2, "aggregation": "learned"}


@contextmanager
def dying_after(slices, begin=0):
    """Ends the process, as it were, after so many slices, the first ``begin`` not counted."""
    put, done = _Shelf.put, []

    def counted(self, *news):
        put(self, *news)
        done.append(news)
        if len(done) == begin + slices:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Shelf, "put", counted)
        with pytest.raises(Killed):
            yield


@contextmanager
def trained():
    """Shard and slice of everything that is trained."""
    found, train = [], ShardJob._train

    def noted(self, model, number, should_stop):
        found.append((self.shard, number))
        return train(self, model, number, should_stop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShardJob, "_train", noted)
        yield found


def files(store, cell):
    found = store._blobs.names(f"cells/{cell.key[:2]}/{cell.key}/journal")
    return [name for name in found if "/slices/" in name]


@pytest.mark.parametrize("model", ["bpr", "lightgcn", "sets2sets"])
def test_goes_on_after_the_last_slice_and_ends_in_the_same_bytes(model, tmp_path):
    cell = chain_cell(model, {"sisa": SETTINGS})
    whole, broken = prepared(cell, tmp_path / "whole"), prepared(cell, tmp_path / "broken")
    with trained() as all_of_it:
        assert run_cell(cell, whole, CPU, NEVER)
    assert all_of_it[:6] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    for slices in (1, 2):
        with dying_after(slices):
            run_cell(cell, broken, CPU, ALWAYS)
    with trained() as rest:
        assert run_cell(cell, broken, CPU, ALWAYS)
    assert rest == all_of_it[3:]
    assert_same(cell, whole, broken)
    assert files(broken, cell) == []


def test_a_request_that_was_killed_goes_on_after_its_first_slice(tmp_path):
    cell = chain_cell("bpr", {"sisa": {"shards": 1, "slices": 3}})
    whole, broken = prepared(cell, tmp_path / "whole"), prepared(cell, tmp_path / "broken")
    with trained() as all_of_it:
        assert run_cell(cell, whole, CPU, NEVER)
    # three slices before the first request; then the first request that trains two or more
    served = all_of_it[3:]
    first = next(n for n in range(len(served) - 1) if served[n][1] < served[n + 1][1])
    with dying_after(first + 1, begin=3):
        run_cell(cell, broken, CPU, ALWAYS)
    with trained() as rest:
        assert run_cell(cell, broken, CPU, ALWAYS)
    assert rest == served[first + 1 :]
    assert_same(cell, whole, broken)


def test_short_ones_are_not_kept(tmp_path):
    cell = chain_cell("bpr", {"sisa": SETTINGS})
    store = prepared(cell, tmp_path)
    with dying_after(5):
        run_cell(cell, store, CPU, Pace())
    assert files(store, cell) == []


def test_slices_of_other_jobs_are_passed_over(tmp_path):
    cell = chain_cell("bpr", {"sisa": SETTINGS})
    store = prepared(cell, tmp_path)
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SerialPool, "run", lambda self, jobs, *rest: seen.extend(jobs) or stop())
        with pytest.raises(Killed):
            run_cell(cell, store, CPU)
    pool = KeepingPool(SerialPool(), store.journal(cell.key, {}), ALWAYS)
    first, second = pool.run(seen[:1], lambda: False), pool.run(seen[1:2], lambda: False)
    assert [len(results[0].weights) for results in (first, second)] == [2, 2]
    other = KeepingPool(SerialPool(), store.journal(cell.key, {}), ALWAYS)
    with trained() as found:
        other.run(seen[:1], lambda: False)
        other.run(seen[1:2], lambda: False)
    assert found == [(0, 0), (0, 1), (1, 0), (1, 1)]
    with trained() as found:
        again = KeepingPool(SerialPool(), store.journal(cell.key, {}), ALWAYS)
        results = again.run(seen[1:2], lambda: False)
    assert found == []
    assert results[0].num_steps == second[0].num_steps
    assert results[0].is_complete


def stop():
    raise Killed
